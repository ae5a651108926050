// Smaller and larger images as Pillow makes them: means of blocks to the bit, and to one level of
// grey a triangle whose support grows with the factor by which an image shrinks, so that nothing
// aliases. (Pillow may resize columns before rows, and then rounds in that order.)

import { blank } from "./images.js";

const BITS = 22; // of a weight: eight more are those of a pixel

// gap: what shrinks by twice as much or more is averaged in blocks first.
export function resize(image, width, height, gap) {
  if (image.width === width && image.height === height) return image;
  const across = Math.trunc(image.width / width / gap) || 1;
  const down = Math.trunc(image.height / height / gap) || 1;
  const small = reduce(image, across, down);
  const wide = alongRows(small, taps(small.width, image.width / across, width));
  return alongColumns(wide, taps(wide.height, image.height / down, height));
}

// Means of blocks; the last ones of a row or a column may be narrower.
export function reduce(image, across, down = across) {
  if (across === 1 && down === 1) return image;
  const { channels } = image;
  const result = blank(Math.ceil(image.width / across), Math.ceil(image.height / down), channels);
  let to = 0;
  for (let row = 0; row < result.height; row += 1) {
    const rows = Math.min(down, image.height - row * down);
    for (let column = 0; column < result.width; column += 1) {
      const columns = Math.min(across, image.width - column * across);
      const count = rows * columns;
      const factor = Math.trunc(Math.fround(2 ** 24 / count));
      const start = (row * down * image.width + column * across) * channels;
      for (let channel = 0; channel < channels; channel += 1, to += 1) {
        let sum = count >> 1;
        for (let y = 0; y < rows; y += 1) {
          let at = start + y * image.width * channels + channel;
          for (let x = 0; x < columns; x += 1, at += channels) sum += image.data[at];
        }
        result.data[to] = Math.floor((sum * factor) / 2 ** 24);
      }
    }
  }
  return result;
}

// For each of `to` pixels the first of `from` pixels under it, and their weights. span: how many
// pixels the image has, where the last of them is partly filled.
function taps(from, span, to) {
  const scale = span / to;
  const support = Math.max(scale, 1);
  return Array.from({ length: to }, (_, index) => {
    const centre = (index + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const weights = Array.from({ length: end - start }, (_each, at) =>
      Math.max(0, 1 - Math.abs((start + at + 0.5 - centre) / support)));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    const whole = weights.map((weight) => Math.floor((weight / sum) * 2 ** BITS + 0.5));
    return { start, weights: Int32Array.from(whole) };
  });
}

function alongRows(image, columns) {
  if (columns.length === image.width) return image;
  const { data, width, height, channels } = image;
  const result = blank(columns.length, height, channels);
  let to = 0;
  for (let row = 0; row < height; row += 1) {
    for (const { start, weights } of columns) {
      const from = (row * width + start) * channels;
      for (let channel = 0; channel < channels; channel += 1, to += 1) {
        result.data[to] = weighted(data, from + channel, channels, weights);
      }
    }
  }
  return result;
}

function alongColumns(image, rows) {
  if (rows.length === image.height) return image;
  const line = image.width * image.channels;
  const result = blank(image.width, rows.length, image.channels);
  let to = 0;
  for (const { start, weights } of rows) {
    for (let at = 0; at < line; at += 1, to += 1) {
      result.data[to] = weighted(image.data, start * line + at, line, weights);
    }
  }
  return result;
}

function weighted(data, start, step, weights) {
  let sum = 1 << (BITS - 1);
  for (let index = 0, at = start; index < weights.length; index += 1, at += step) {
    sum += data[at] * weights[index];
  }
  return Math.min(sum >> BITS, 255);
}
