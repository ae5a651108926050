// Landmarks of faces that are found already, as in mien/faces/alignment.py: CenterFace's network
// on a small view of each.

import { part } from "./images.js";
import { resize } from "./resize.js";

export class Aligner {
  // run: takes RGB images of one size, gives CenterFace's maps by name.
  constructor(run, settings) {
    Object.assign(this, { run, settings });
  }

  // Returns an image's faces with landmarks, in the same order.
  async align(image, faces) {
    const aligned = [];
    const { batch } = this.settings;
    for (let start = 0; start < faces.length; start += batch) {
      const some = faces.slice(start, start + batch);
      const maps = await this.run(some.map((face) => this.#view(image, face.box)));
      some.forEach((face, index) => {
        const points = this.#decode(maps, index);
        aligned.push(points ? this.#placed(face, points) : face);
      });
    }
    return aligned;
  }

  #square({ x, y, w, h }) {
    const side = Math.max(w, h) * this.settings.view_scale;
    return [x + (w - side) / 2, y + (h - side) / 2, side];
  }

  #view(image, box) {
    const [left, top, side] = this.#square(box);
    const [x, y] = [Math.floor(left), Math.floor(top)];
    const around = part(image, x, y, Math.ceil(left + side) - x, Math.ceil(top + side) - y);
    const { view_px: px, reducing_gap: gap } = this.settings;
    return resize(around, px, px, gap);
  }

  // Returns five points in sides of the view; nothing if it shows no face.
  #decode(maps, index) {
    const { view_px: px, cell_px: cellPx, middle: [first, last], least_score: least } = this.settings;
    const columns = px / cellPx;
    const area = columns * columns;
    const value = (name, channel, cell) => {
      const { data, dims } = maps[name];
      return data[(index * dims[1] + channel) * area + cell];
    };
    let best = first * columns + first;
    for (let row = first; row < last; row += 1) {
      for (let column = first; column < last; column += 1) {
        const cell = row * columns + column;
        if (value("heatmap", 0, cell) > value("heatmap", 0, best)) best = cell;
      }
    }
    if (value("heatmap", 0, best) < least) return null;
    const [y, x] = [Math.floor(best / columns), best % columns].map((corner, axis) => {
      const size = Math.exp(value("log_size", axis, best));
      return { start: corner + 0.5 + value("offset", axis, best) - size / 2, size };
    });
    const place = ({ start, size }, channel) =>
      (start + value("landmarks", channel, best) * size) * (cellPx / px);
    return [0, 2, 4, 6, 8].map((channel) => [place(x, channel + 1), place(y, channel)]);
  }

  #placed(face, points) {
    const [left, top, side] = this.#square(face.box);
    return { ...face, landmarks: points.map(([x, y]) => [left + x * side, top + y * side]) };
  }
}
