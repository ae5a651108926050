// The last minute of one face: probabilities of all labels, stacked.

import { spoken } from "./words.js";

const SECONDS = 60;
const GAP_S = 1; // a longer silence is shown as one

export class Timeline {
  constructor(canvas, colours, history) {
    this.canvas = canvas;
    this.colours = colours;
    this.history = history;
    this.identity = null;
  }

  select(identity) {
    this.identity = identity;
    this.draw();
  }

  draw() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width) return; // it is not shown
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const rows = this.history.of(this.identity, SECONDS);
    const now = (performance.now() - this.history.start) / 1000;
    const at = (time) => width * (1 - (now - time) / SECONDS);
    for (let index = 0; index < rows.length; index += 1) {
      const next = rows[index + 1]?.time ?? now;
      const end = Math.min(next, rows[index].time + GAP_S);
      this.#column(context, rows[index].face, at(rows[index].time), at(end), height);
    }
    this.#marks(context, width, height);
    const last = rows.at(-1)?.face;
    const text = last ? `Face ${this.identity}, now: ${spoken(last)}` : "No readings yet";
    if (this.canvas.getAttribute("aria-label") !== text) this.canvas.setAttribute("aria-label", text);
  }

  #column(context, face, left, right, height) {
    let bottom = height;
    for (const [label, colour] of Object.entries(this.colours)) {
      const size = (face.probabilities[label] ?? 0) * height;
      context.fillStyle = colour;
      context.fillRect(left, bottom - size, Math.max(1, right - left + 0.5), size);
      bottom -= size;
    }
  }

  #marks(context, width, height) {
    const style = getComputedStyle(this.canvas);
    context.fillStyle = style.color;
    context.font = "11px system-ui, sans-serif";
    context.globalAlpha = 0.7;
    for (const seconds of [45, 30, 15]) {
      const x = width * (1 - seconds / SECONDS);
      context.fillRect(x, height - 6, 1, 6);
      context.fillText(`−${seconds} s`, x + 4, height - 4);
    }
    context.globalAlpha = 1;
  }
}
