// Cuts a square out in grey, as in mien/faces/framing.py: each pixel is the mean of those under
// it; beyond the image its border is repeated.

import { blank, grey, part } from "./images.js";
import { clamp } from "./numbers.js";
import { reduce } from "./resize.js";

// square: of cropSquare, in an image of full size that is `scale` times as wide and as high.
export function cutOut(image, square, scale, { size_hw: [height, width], max_samples: most }) {
  const least = Math.min(height, width);
  const sides = around(image, sidesOf(square, scale), least, most);
  const samples = clamp(Math.ceil(sides.span / least), 1, most);
  const sampled = sample(sides, width * samples, height * samples);
  return reduce(sampled, samples);
}

function sidesOf({ centre, side, roll }, [across, down]) {
  const [x, y] = [Math.cos(roll) * side, Math.sin(roll) * side];
  return withSpan({
    centre: [centre[0] / across, centre[1] / down],
    right: [x / across, y / down],
    down: [-y / across, x / down],
  });
}

function withSpan(sides) {
  return { ...sides, span: Math.max(Math.hypot(...sides.right), Math.hypot(...sides.down)) };
}

// Returns the square in the pixels of what it can touch, which comes with it, in grey. A large
// square is shrunk to what is sampled at most.
function around(image, sides, least, most) {
  const reach = sides.span / Math.SQRT2 + 2;
  const limits = [image.width, image.height];
  const centre = sides.centre.map((value, axis) => clamp(value, -reach, limits[axis] + reach));
  const start = centre.map((value, axis) => clamp(Math.floor(value - reach), 0, limits[axis] - 1));
  const end = centre.map((value, axis) =>
    clamp(Math.ceil(value + reach), start[axis] + 1, limits[axis]));
  const inside = grey(part(image, ...start, end[0] - start[0], end[1] - start[1]));
  const shrink = Math.max(1, Math.trunc(sides.span / (least * most)));
  return withSpan({
    pixels: reduce(inside, shrink),
    centre: centre.map((value, axis) => (value - start[axis]) / shrink),
    right: sides.right.map((value) => value / shrink),
    down: sides.down.map((value) => value / shrink),
  });
}

// Values between four pixels, without their fractions, as Pillow gives them.
function sample({ pixels: { data, width, height }, centre, right, down }, columns, rows) {
  const result = blank(columns, rows, 1);
  const corner = centre.map((value, axis) => value - (right[axis] + down[axis]) / 2);
  let to = 0;
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1, to += 1) {
      const [u, v] = [(column + 0.5) / columns, (row + 0.5) / rows];
      const x = corner[0] + right[0] * u + down[0] * v - 0.5;
      const y = corner[1] + right[1] * u + down[1] * v - 0.5;
      const [left, top] = [Math.floor(x), Math.floor(y)];
      const [x0, x1] = [clamp(left, 0, width - 1), clamp(left + 1, 0, width - 1)];
      const y0 = clamp(top, 0, height - 1) * width;
      const y1 = clamp(top + 1, 0, height - 1) * width;
      const above = data[y0 + x0] + (data[y0 + x1] - data[y0 + x0]) * (x - left);
      const below = data[y1 + x0] + (data[y1 + x1] - data[y1 + x0]) * (x - left);
      result.data[to] = Math.trunc(above + (below - above) * (y - top));
    }
  }
  return result;
}
