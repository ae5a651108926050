// Boxes over an image, as buttons: one stop of the Tab key, arrow keys from face to face.

import { placeLabels } from "./layout.js";
import { headline, spoken } from "./words.js";

// Plates by form: font in pixels, height, and the width around the text; view.css has the same.
export const PLATES = {
  full: { font: 13, height: 24, around: 27 },
  number: { font: 11, height: 17, around: 10 },
};
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

export class Boxes {
  // host: an element that lies over the image. onChoose(identity), onPoint(identity or null).
  constructor(host, { colours, onChoose, onPoint }) {
    this.host = host;
    this.colours = colours;
    this.onChoose = onChoose;
    this.onPoint = onPoint;
    this.faces = new Map();
    this.chosen = null;
    this.pointed = null;
    this.pen = document.createElement("canvas").getContext("2d");
    host.addEventListener("keydown", (event) => this.#step(event));
  }

  clear() {
    this.host.replaceChildren();
    this.faces.clear();
    this.reading = null;
    this.chosen = null;
    this.pointed = null;
  }

  draw(reading, mirrored) {
    this.reading = reading;
    this.mirrored = mirrored;
    const seen = new Set(reading.faces.map((face) => face.identity));
    for (const [identity, { box, label }] of this.faces) {
      if (seen.has(identity)) continue;
      box.remove();
      label.remove();
      this.faces.delete(identity);
    }
    for (const face of reading.faces) {
      if (!this.faces.has(face.identity)) this.#add(face.identity);
    }
    this.#arrange();
  }

  choose(identity) {
    this.chosen = identity;
    this.#arrange();
  }

  point(identity) {
    if (this.pointed === identity) return;
    this.pointed = identity;
    this.#arrange();
  }

  #add(identity) {
    const box = document.createElement("button");
    box.type = "button";
    box.className = "face-box";
    box.addEventListener("click", () => this.onChoose(identity));
    for (const kind of ["pointerenter", "focus"]) box.addEventListener(kind, () => this.onPoint(identity));
    for (const kind of ["pointerleave", "blur"]) box.addEventListener(kind, () => this.onPoint(null));
    const label = document.createElement("span");
    label.className = "face-label";
    label.setAttribute("aria-hidden", "true");
    this.host.append(box, label);
    this.faces.set(identity, { box, label });
  }

  #arrange() {
    if (!this.reading) return;
    const { clientWidth: width, clientHeight: height } = this.host;
    const looked = this.pointed ?? this.chosen;
    const places = facePlaces(this.reading, { width, height }, this.mirrored);
    for (const place of places) place.chosen = place.face.identity === looked;
    const labels = placeLabels(places, { width, height }, (text, form) => this.#measure(text, form));
    const stop = this.faces.has(this.chosen) ? this.chosen : places[0]?.face.identity;
    places.forEach((place, index) => {
      const { identity } = place.face;
      const { box, label } = this.faces.get(identity);
      set(box, {
        left: `${place.x}px`, top: `${place.y}px`, width: `${place.w}px`, height: `${place.h}px`,
      });
      box.style.setProperty("--colour", this.colours[place.face.emotion]);
      box.tabIndex = identity === stop ? 0 : -1;
      box.classList.toggle("unsure", place.face.uncertain);
      box.classList.toggle("small", Math.min(place.w, place.h) < 40);
      box.setAttribute("aria-pressed", String(identity === this.chosen));
      box.setAttribute("aria-label", `Face ${identity}: ${spoken(place.face)}`);
      fillLabel(label, labels[index], this.colours[place.face.emotion], identity === looked);
    });
  }

  #measure(text, form) {
    const { font, height, around } = PLATES[form];
    this.pen.font = `600 ${font}px system-ui, sans-serif`;
    return { width: Math.ceil(this.pen.measureText(text).width) + around, height };
  }

  #step(event) {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const order = this.reading.faces.map((face) => face.identity);
    const at = order.findIndex((identity) => this.faces.get(identity).box === document.activeElement
      || this.faces.get(identity).box === this.host.getRootNode().activeElement);
    const next = order[(at + step + order.length) % order.length];
    this.onChoose(next);
    this.faces.get(next).box.focus({ preventScroll: true });
  }
}

// Boxes of a reading in the pixels of the area that shows the whole image, with their texts.
export function facePlaces(reading, area, mirrored) {
  const scale = Math.min(area.width / reading.width, area.height / reading.height);
  const startX = (area.width - reading.width * scale) / 2;
  const startY = (area.height - reading.height * scale) / 2;
  const many = reading.faces.length > 1;
  return reading.faces.map((face) => {
    const left = mirrored ? reading.width - face.box.x - face.box.w : face.box.x;
    return {
      face,
      number: face.identity,
      text: many ? `${face.identity} · ${headline(face)}` : headline(face),
      x: startX + left * scale,
      y: startY + face.box.y * scale,
      w: face.box.w * scale,
      h: face.box.h * scale,
    };
  });
}

function fillLabel(label, { form, text = "", left = 0, top = 0, width = 0 }, colour, front) {
  label.hidden = form === "none";
  label.dataset.form = form;
  if (label.textContent !== text) label.textContent = text;
  label.style.setProperty("--colour", colour);
  set(label, { left: `${left}px`, top: `${top}px`, width: `${width}px`, zIndex: front ? "2" : "" });
}

function set(element, styles) {
  for (const [name, value] of Object.entries(styles)) element.style[name] = value;
}
