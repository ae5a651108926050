// One row a face: thumbnail, number, expression and percentage; it opens to a bar a label.

import { capital, doubt, expression, percent, promise } from "./words.js";

const ALL_OPEN_UP_TO = 3; // so many faces are all open
const THUMB_PX = 80;
const THUMB_EVERY_MS = 1000;

let count = 0;

export class Rows {
  // list: a <ul>. terms: {coverage, abstainBelow}. onChoose(identity), onPoint(identity or null).
  constructor(list, { colours, terms, onChoose, onPoint }) {
    this.list = list;
    this.colours = colours;
    this.terms = terms;
    this.onChoose = onChoose;
    this.onPoint = onPoint;
    this.rows = new Map();
    this.chosen = null;
  }

  clear() {
    this.list.replaceChildren();
    this.rows.clear();
    this.chosen = null;
  }

  // image: what the faces were found in (image, video or canvas), for the thumbnails.
  update(reading, image, mirrored) {
    const seen = new Set(reading.faces.map((face) => face.identity));
    for (const [identity, row] of this.rows) {
      if (seen.has(identity)) continue;
      row.item.remove();
      this.rows.delete(identity);
    }
    for (const face of reading.faces) {
      if (!this.rows.has(face.identity)) this.#add(face.identity, reading.faces.length <= ALL_OPEN_UP_TO);
      const row = this.rows.get(face.identity);
      this.#fill(row, face);
      explain(row.reason, face.reason);
      this.#picture(row, face, reading, image, mirrored);
    }
  }

  // Marks and opens one row; of many, the others close.
  choose(identity) {
    this.chosen = identity;
    const many = this.rows.size > ALL_OPEN_UP_TO;
    for (const [each, row] of this.rows) {
      const own = each === identity;
      row.item.classList.toggle("chosen", own);
      if (own) row.button.setAttribute("aria-current", "true");
      else row.button.removeAttribute("aria-current");
      if (own) open(row, true);
      else if (many) open(row, false);
    }
  }

  reveal(identity) {
    this.rows.get(identity)?.item.scrollIntoView({ block: "nearest" });
  }

  point(identity) {
    for (const [each, row] of this.rows) row.item.classList.toggle("pointed", each === identity);
  }

  #add(identity, opened) {
    const item = element("li", "face");
    const button = element("button", "face-row");
    button.type = "button";
    const thumb = document.createElement("canvas");
    thumb.width = THUMB_PX;
    thumb.height = THUMB_PX;
    thumb.className = "thumb";
    const number = element("span", "number", String(identity));
    const name = element("span", "expression");
    const share = element("span", "percent");
    button.append(thumb, element("span", "unseen", "Face "), number, name, share);
    const more = element("div", "more");
    count += 1;
    more.id = `face-${count}`;
    button.setAttribute("aria-controls", more.id);
    const bars = new Map();
    const list = element("ul", "bars");
    for (const [label, colour] of Object.entries(this.colours)) bars.set(label, addBar(list, label, colour));
    const why = element("p", "why");
    const reason = element("figure", "reason");
    reason.hidden = true;
    more.append(list, why, reason);
    item.append(button, more);
    this.list.append(item);
    const row = { item, button, thumb, name, share, bars, why, reason, more, drawn: -Infinity };
    this.rows.set(identity, row);
    open(row, opened);
    button.addEventListener("click", () => {
      if (this.chosen === identity) open(row, more.hidden);
      else this.onChoose(identity);
    });
    for (const kind of ["pointerenter", "focus"]) button.addEventListener(kind, () => this.onPoint(identity));
    for (const kind of ["pointerleave", "blur"]) button.addEventListener(kind, () => this.onPoint(null));
  }

  #fill(row, face) {
    row.item.style.setProperty("--colour", this.colours[face.emotion]);
    row.item.classList.toggle("unsure", face.uncertain);
    say(row.name, expression(face));
    say(row.share, percent(face.confidence));
    const words = [doubt(face, this.terms.abstainBelow), promise(face, this.terms.coverage)];
    say(row.why, words.filter(Boolean).join(" "));
    for (const [label, { fill, value }] of row.bars) {
      const fraction = face.probabilities[label] ?? 0;
      fill.style.transform = `scaleX(${fraction.toFixed(3)})`;
      say(value, percent(fraction));
    }
  }

  #picture(row, face, reading, image, mirrored) {
    const now = performance.now();
    if (!image || now - row.drawn < THUMB_EVERY_MS) return;
    row.drawn = now;
    const width = image.videoWidth || image.naturalWidth || image.width;
    const scale = width / reading.width;
    const side = Math.max(face.box.w, face.box.h) * 1.2;
    const x = face.box.x + face.box.w / 2 - side / 2;
    const y = face.box.y + face.box.h / 2 - side / 2;
    const pen = row.thumb.getContext("2d");
    pen.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? THUMB_PX : 0, 0);
    pen.clearRect(0, 0, THUMB_PX, THUMB_PX);
    pen.drawImage(image, x * scale, y * scale, side * scale, side * scale, 0, 0, THUMB_PX, THUMB_PX);
  }
}

// reason: {image, words}, where a face was explained.
function explain(figure, reason) {
  figure.hidden = !reason;
  if (!reason || figure.dataset.words === reason.words) return;
  figure.dataset.words = reason.words;
  const image = document.createElement("img");
  image.src = reason.image;
  image.alt = "The face under its heatmap";
  // a percentage is not broken over two lines
  figure.replaceChildren(image, element("figcaption", "", reason.words.replaceAll(" %", "\u00a0%")));
}

function open(row, yes) {
  row.more.hidden = !yes;
  row.button.setAttribute("aria-expanded", String(yes));
}

function addBar(to, label, colour) {
  const row = element("li", "bar-row");
  const track = element("span", "track");
  const fill = element("span", "fill");
  const value = element("span", "value");
  fill.style.background = colour;
  track.append(fill);
  row.append(element("span", "name", capital(label)), track, value);
  to.append(row);
  return { fill, value };
}

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
