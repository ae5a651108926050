// How well a face can be seen, and why it may be impossible to read, as in
// mien/faces/visibility.py.

import { clamp, deviation, mean, percentiles, rint } from "./numbers.js";
import { frame } from "./template.js";

// crop: as cut out, before it is stretched. size: {width, height} of the image that the face is
// in. settings: all of them.
export function visibilityOf(crop, face, size, { framing, visibility }) {
  const [low, high] = percentiles(crop.data, visibility.percentiles);
  const square = frame(face, framing);
  const [yaw, pitch] = turnOf(face.landmarks, framing.template.landmarks, square, visibility.nose_depth);
  return {
    size_px: square.side,
    sharpness: sharpness(crop),
    light: mean(crop.data),
    contrast: high - low,
    white: crop.data.filter((value) => value >= visibility.white).length / crop.data.length,
    yaw,
    pitch,
    outside: outside(square, size, visibility.outside_samples),
  };
}

// Returns why a face cannot be read, in the settings' order; nothing if it can.
export function reasonsOf(seen, { limits, dark_below: darkBelow, reasons }) {
  const flat = seen.contrast < limits.min_contrast;
  const holds = {
    "too small": seen.size_px < limits.min_size_px,
    blurred: seen.sharpness < limits.min_sharpness,
    dark: flat && seen.light < darkBelow,
    overexposed: (flat && seen.light >= darkBelow) || seen.white > limits.max_white,
    "turned away": Math.abs(seen.yaw) > limits.max_yaw || Math.abs(seen.pitch) > limits.max_pitch,
    "cut off": seen.outside > limits.max_outside,
  };
  return reasons.filter((reason) => holds[reason]);
}

// Returns a crop of low contrast stretched, any other as it is, and so a nearly flat one.
export function stretchContrast(crop, settings) {
  const [low, high] = percentiles(crop.data, settings.percentiles);
  if (deviation(crop.data) >= settings.low_deviation || high - low < settings.min_contrast) return crop;
  const [start, end] = settings.stretched_to;
  const gain = (end - start) / (high - low);
  return { ...crop, data: crop.data.map((value) => clamp(rint((value - low) * gain + start), 0, 255)) };
}

// The Laplacian's standard deviation in the crop's own.
function sharpness({ data, width, height }) {
  const own = deviation(data);
  if (own === 0) return 0;
  const edges = [];
  for (let row = 1; row < height - 1; row += 1) {
    for (let column = 1; column < width - 1; column += 1) {
      const at = row * width + column;
      edges.push(4 * data[at] - data[at - width] - data[at + width] - data[at - 1] - data[at + 1]);
    }
  }
  return deviation(edges) / own;
}

// Returns yaw and pitch in degrees; nulls where they are not known.
function turnOf(points, model, { roll }, noseDepth) {
  if (points.length !== 5 || model.length !== 5) return [null, null];
  const axes = [[Math.cos(roll), Math.sin(roll)], [-Math.sin(roll), Math.cos(roll)]];
  const along = (axis, [x, y]) => axes[axis][0] * x + axes[axis][1] * y;
  const less = (a, b) => [a[0] - b[0], a[1] - b[1]];
  const between = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const eyes = between(points[0], points[1]);
  const down = less(between(points[3], points[4]), eyes);
  const width = Math.abs(along(0, less(points[1], points[0]))) / (model[1][0] - model[0][0]);
  const height = Math.abs(along(1, down)) / (model[3][1] - model[0][1]);
  const size = Math.max(width, height);
  if (size === 0) return [null, null];
  const part = (model[2][1] - model[0][1]) / (model[3][1] - model[0][1]);
  const nose = less(points[2], [eyes[0] + part * down[0], eyes[1] + part * down[1]]);
  return [0, 1].map((axis) => {
    const sine = clamp(along(axis, nose) / (size * noseDepth), -1, 1);
    return (Math.asin(sine) * 180) / Math.PI;
  });
}

// The fraction of a square beyond its image, by a grid of samples.
function outside({ centre, side, roll }, { width, height }, samples) {
  const [cosine, sine] = [Math.cos(roll) * side, Math.sin(roll) * side];
  const steps = Array.from({ length: samples }, (_, index) => (index + 0.5) / samples - 0.5);
  let beyond = 0;
  for (const v of steps) {
    for (const u of steps) {
      const x = centre[0] + u * cosine - v * sine;
      const y = centre[1] + u * sine + v * cosine;
      if (x < 0 || y < 0 || x >= width || y >= height) beyond += 1;
    }
  }
  return beyond / samples ** 2;
}
