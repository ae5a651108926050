// The square in which a face lies as in the pictures that taught the network, as in
// mien/faces/template.py: a similarity fitted to the landmarks, blended with the box.

import { clamp } from "./numbers.js";

// Returns {centre, side, roll}, in the face's pixels and in radians. framing: settings.framing.
export function frame(face, framing) {
  const { template } = framing;
  const fitted = byLandmarks(face.landmarks, framing);
  if (!fitted) return byBox(face.box, template, 0);
  const box = byBox(face.box, template, fitted.roll);
  const side = clamp(fitted.side, box.side / framing.max_ratio, box.side * framing.max_ratio);
  const [x, y] = [0, 1].map((axis) => fitted.centre[axis] - box.centre[axis]);
  const distance = Math.hypot(x, y) / box.side;
  const weight = template.landmark_weight;
  const step = weight * Math.min(1, framing.max_offset / Math.max(distance, 1e-9));
  return {
    centre: [box.centre[0] + x * step, box.centre[1] + y * step],
    side: side ** weight * box.side ** (1 - weight),
    roll: fitted.roll,
  };
}

// Returns the square that is cut out.
export function cropSquare(face, framing) {
  const { centre, side, roll } = frame(face, framing);
  const shift = side * framing.shift_y;
  return {
    centre: [centre[0] - Math.sin(roll) * shift, centre[1] + Math.cos(roll) * shift],
    side: side * framing.scale,
    roll,
  };
}

function byBox({ x, y, w, h }, template, roll) {
  const longer = Math.max(w, h);
  const shift = longer * template.box_shift_y;
  return {
    centre: [x + w / 2 - Math.sin(roll) * shift, y + h / 2 + Math.cos(roll) * shift],
    side: longer * template.box_scale,
    roll,
  };
}

// The similarity of least squares; nothing if the landmarks are missing or improbable.
function byLandmarks(points, { template, max_residual: most }) {
  const model = template.landmarks;
  if (!model.length || points.length !== model.length) return null;
  const [pointsMean, modelMean] = [middle(points), middle(model)];
  let real = 0;
  let imaginary = 0;
  let norm = 0;
  points.forEach((point, index) => {
    const [px, py] = [point[0] - pointsMean[0], point[1] - pointsMean[1]];
    const [mx, my] = [model[index][0] - modelMean[0], model[index][1] - modelMean[1]];
    real += mx * px + my * py;
    imaginary += mx * py - my * px;
    norm += mx * mx + my * my;
  });
  real /= norm;
  imaginary /= norm;
  const turn = ([x, y]) => [real * x - imaginary * y, real * y + imaginary * x];
  const shifted = turn(modelMean);
  const centre = [pointsMean[0] - shifted[0], pointsMean[1] - shifted[1]];
  const squares = points.map((point, index) => {
    const placed = turn(model[index]);
    return (point[0] - placed[0] - centre[0]) ** 2 + (point[1] - placed[1] - centre[1]) ** 2;
  });
  const residual = Math.sqrt(squares.reduce((sum, each) => sum + each, 0) / squares.length);
  const side = Math.hypot(real, imaginary);
  if (!(residual <= most * side) || side === 0) return null;
  return { centre, side, roll: Math.atan2(imaginary, real) };
}

function middle(points) {
  return [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
}
