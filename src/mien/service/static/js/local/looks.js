// Second looks where YuNet finds no face, as in mien/faces/looks.py: turned, then CenterFace. A
// camera gets them as `mien video` does, on some of its empty frames; the service's on all of them.

import { turned } from "./images.js";

export class SecondLook {
  // first, last: detectors. settings: those of the detector.
  constructor(first, last, settings) {
    Object.assign(this, { first, last, settings });
    this.reset();
  }

  // What comes next is another video.
  reset() {
    this.empty = 0;
  }

  // Returns the faces of an RGB image, most confident first. video: it is a frame of one.
  async find(image, video) {
    const found = await this.first.find(image);
    if (found.length) return found;
    if (video && this.empty++ % this.settings.every_empty_frame !== 0) return [];
    const sideways = await this.#turned(image);
    return sideways.length ? sideways : this.last.find(image);
  }

  // Returns the faces of the turn that shows the most confident one.
  async #turned(image) {
    let best = [];
    let look = image;
    for (const turns of [1, 2, 3]) {
      look = turned(look);
      const found = await this.first.find(look);
      const sure = found.filter((face) => face.score > this.settings.turned.threshold);
      if (sure.length && sure[0].score > (best[0]?.score ?? 0)) {
        best = sure.map((face) => turnedBack(face, turns, image));
      }
    }
    return best;
  }
}

function turnedBack(face, turns, { width, height }) {
  const back = {
    1: ([x, y]) => [width - y, x],
    2: ([x, y]) => [width - x, height - y],
    3: ([x, y]) => [y, height - x],
  }[turns];
  const { x, y, w, h } = face.box;
  const [one, other] = [back([x, y]), back([x + w, y + h])];
  const box = {
    x: Math.min(one[0], other[0]),
    y: Math.min(one[1], other[1]),
    w: Math.abs(one[0] - other[0]),
    h: Math.abs(one[1] - other[1]),
  };
  return { ...face, box, landmarks: face.landmarks.map(back) };
}
