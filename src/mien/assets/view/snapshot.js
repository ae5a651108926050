// An image with its boxes and labels, at the image's own size.

import { facePlaces, PLATES } from "./boxes.js";
import { placeLabels } from "./layout.js";

const SHOWN_PX = 900; // letters are as large as they would be in an image of this width

export function snapshot(source, { reading, mirrored, chosen }, colours) {
  const width = source.naturalWidth || source.width;
  const height = source.naturalHeight || source.height;
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext("2d");
  pen.save();
  if (mirrored) {
    pen.translate(width, 0);
    pen.scale(-1, 1);
  }
  pen.drawImage(source, 0, 0, width, height);
  pen.restore();
  const unit = Math.max(1, width / SHOWN_PX);
  pen.textBaseline = "middle";
  const measure = (text, form) => {
    const { font, height: plate, around } = PLATES[form];
    pen.font = `600 ${font * unit}px system-ui, sans-serif`;
    return { width: pen.measureText(text).width + around * unit, height: plate * unit };
  };
  const places = facePlaces(reading, { width, height }, mirrored);
  for (const place of places) place.chosen = place.face.identity === chosen;
  const labels = placeLabels(places, { width, height }, measure);
  for (const place of places) drawBox(pen, place, colours[place.face.emotion], unit);
  places.forEach(({ face }, index) => drawLabel(pen, labels[index], colours[face.emotion], unit));
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function drawBox(pen, { x, y, w, h, face }, colour, unit) {
  pen.setLineDash(face.uncertain ? [8 * unit, 6 * unit] : []);
  for (const [style, line] of [["rgb(0 0 0 / 45%)", 5], [colour, 3]]) {
    pen.strokeStyle = style;
    pen.lineWidth = line * unit;
    pen.beginPath();
    pen.roundRect(x, y, w, h, Math.min(12 * unit, w / 8));
    pen.stroke();
  }
  pen.setLineDash([]);
}

function drawLabel(pen, { form, text, left, top, width, height }, colour, unit) {
  if (form === "none") return;
  const { font, around } = PLATES[form];
  pen.fillStyle = "rgb(18 18 18 / 88%)";
  pen.beginPath();
  pen.roundRect(left, top, width, height, 6 * unit);
  pen.fill();
  let start = left + (around / 2) * unit;
  if (form === "full") {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.roundRect(left + 6 * unit, top + 7 * unit, 10 * unit, 10 * unit, 3 * unit);
    pen.fill();
    start = left + 19 * unit;
  }
  pen.font = `600 ${font * unit}px system-ui, sans-serif`;
  pen.fillStyle = "#fff";
  pen.fillText(text, start, top + height / 2 + unit / 2);
}
