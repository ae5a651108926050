// What both detectors share, as in mien/faces/detections.py: how large their input is, and boxes
// without overlaps.

import { rint } from "./numbers.js";
import { resize } from "./resize.js";

// Returns the image at the size that a detector looks at. input: settings.detector.input.
export function toInput(image, input, workablePx) {
  const shorter = Math.min(image.width, image.height);
  const longer = Math.max(image.width, image.height);
  const smallest = Math.max(input.smallest.px, shorter * input.smallest.fraction);
  const wanted = Math.max(Math.min(1, workablePx / smallest), input.min_px / shorter);
  const scale = Math.min(wanted, input.max_px / longer);
  const [width, height] = [image.width, image.height].map((side) => Math.max(1, rint(side * scale)));
  return resize(image, width, height, input.reducing_gap);
}

// Returns the most confident of the boxes of each face, most confident first.
export function withoutOverlaps(found, most) {
  const kept = [];
  for (const face of [...found].sort((a, b) => b.score - a.score)) {
    if (kept.every((other) => overlap(face, other) <= most)) kept.push(face);
  }
  return kept;
}

// Intersection over union of two boxes.
export function overlap(a, b) {
  const w = Math.max(0, Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x));
  const h = Math.max(0, Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y));
  return (w * h) / Math.max(1e-9, a.w * a.h + b.w * b.h - w * h);
}

// Returns {box, score, landmarks} in pixels of the image that the input was made from.
export function toFaces(found, image, input) {
  const scale = [image.width / input.width, image.height / input.height];
  return found.map(({ x, y, w, h, score, landmarks }) => ({
    box: boxOf(x, y, x + w, y + h, scale),
    score,
    landmarks: scaledPoints(landmarks, scale),
  }));
}

// Returns a face in an image that is so many times as wide and as high.
export function scaledFace(face, scale) {
  const { x, y, w, h } = face.box;
  return {
    ...face,
    box: boxOf(x, y, x + w, y + h, scale),
    landmarks: scaledPoints(face.landmarks, scale),
  };
}

function boxOf(left, top, right, bottom, [across, down]) {
  const x = rint(left * across);
  const y = rint(top * down);
  return { x, y, w: Math.max(1, rint(right * across) - x), h: Math.max(1, rint(bottom * down) - y) };
}

function scaledPoints(points, [across, down]) {
  return points.map(([x, y]) => [x * across, y * down]);
}
