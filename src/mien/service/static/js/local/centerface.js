// CenterFace on the whole image, as in mien/faces/centerface.py, with the aligner's landmarks.

import { toFaces, toInput, withoutOverlaps } from "./detections.js";
import { padded } from "./images.js";

export class CenterFace {
  // run: takes RGB images of one size, gives the network's maps by name.
  // settings: those of the detector.
  constructor(run, aligner, settings) {
    Object.assign(this, { run, aligner, settings });
  }

  // Returns the faces of an RGB image, most confident first.
  async find(image) {
    const { input, max_overlap: most, centerface } = this.settings;
    const small = toInput(image, input, centerface.workable_px);
    const filled = padded(small, centerface.stride);
    const found = decode(await this.run([filled]), filled.width / centerface.cell_px, centerface);
    return this.aligner.align(image, toFaces(withoutOverlaps(found, most), image, small));
  }
}

// The maps' channels are told in mien/faces/centerface.py. The landmarks are the aligner's.
function decode({ heatmap: { data: heat }, log_size: size, offset }, columns, { cell_px: cellPx, threshold }) {
  const area = heat.length;
  const found = [];
  for (let cell = 0; cell < area; cell += 1) {
    if (!(heat[cell] > threshold)) continue;
    const h = Math.exp(size.data[cell]) * cellPx;
    const w = Math.exp(size.data[area + cell]) * cellPx;
    const x = ((cell % columns) + 0.5 + offset.data[area + cell]) * cellPx - w / 2;
    const y = (Math.floor(cell / columns) + 0.5 + offset.data[cell]) * cellPx - h / 2;
    found.push({ x, y, w, h, score: heat[cell], landmarks: [] });
  }
  return found;
}
