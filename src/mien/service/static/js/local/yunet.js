// YuNet, as in mien/faces/yunet.py, with the aligner's landmarks.

import { toFaces, toInput, withoutOverlaps } from "./detections.js";
import { mapped, padded } from "./images.js";
import { clamp, rint } from "./numbers.js";

export class YuNet {
  // run: takes RGB images of one size, gives the network's maps by name.
  // settings: those of the detector.
  constructor(run, aligner, settings) {
    Object.assign(this, { run, aligner, settings });
  }

  // Returns the faces of an RGB image, most confident first.
  async find(image) {
    const { input, max_overlap: most, yunet } = this.settings;
    const small = toInput(image, input, yunet.workable_px);
    const stretched = stretch(small, yunet);
    const found = await this.#look(small);
    if (stretched) found.push(...await this.#look(stretched));
    return this.aligner.align(image, toFaces(withoutOverlaps(found, most), image, small));
  }

  async #look(small) {
    const { strides, threshold } = this.settings.yunet;
    const image = padded(small, strides.at(-1));
    const maps = await this.run(image);
    return strides.flatMap((stride) =>
      decode(maps[`stride_${stride}`].data, stride, image.width / stride, threshold));
  }
}

// The map's channels are told in mien/faces/yunet.py.
function decode(map, stride, columns, threshold) {
  const area = map.length / 16;
  const found = [];
  for (let cell = 0; cell < area; cell += 1) {
    const inverse = (1 + Math.exp(-map[cell])) * (1 + Math.exp(-map[area + cell]));
    if (!(inverse < threshold ** -2)) continue;
    const value = (channel) => map[channel * area + cell];
    const corner = [cell % columns, Math.floor(cell / columns)];
    const place = (channel) => (value(channel) + corner[channel % 2]) * stride;
    const w = Math.exp(value(4)) * stride;
    const h = Math.exp(value(5)) * stride;
    const landmarks = [6, 8, 10, 12, 14].map((channel) => [place(channel), place(channel + 1)]);
    found.push({ x: place(2) - w / 2, y: place(3) - h / 2, w, h, score: inverse ** -0.5, landmarks });
  }
  return found;
}

// Returns an image of low contrast stretched to all of it, and nothing for any other image.
function stretch(image, { low_range: lowRange, tail, max_gain: maxGain }) {
  const counts = new Float64Array(256);
  for (const value of image.data) counts[value] += 1;
  const below = [];
  counts.reduce((sum, count, value) => {
    below[value] = (sum + count) / image.data.length;
    return sum + count;
  }, 0);
  const dark = below.findIndex((part) => part >= tail);
  const bright = below.findIndex((part) => part >= 1 - tail);
  if (bright - dark >= lowRange) return null;
  const gain = Math.min(255 / Math.max(bright - dark, 1), maxGain);
  return mapped(image, below.map((_, value) => clamp(rint((value - dark) * gain), 0, 255)));
}
