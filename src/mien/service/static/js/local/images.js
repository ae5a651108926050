// Images as {data, width, height, channels}: bytes row by row, three channels are RGB, one is grey.

import { clamp } from "./numbers.js";

export function blank(width, height, channels) {
  return { data: new Uint8Array(width * height * channels), width, height, channels };
}

// RGB of a canvas's ImageData, whose pixels must be opaque.
export function rgbOf({ data, width, height }) {
  const image = blank(width, height, 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    image.data[to] = data[from];
    image.data[to + 1] = data[from + 1];
    image.data[to + 2] = data[from + 2];
  }
  return image;
}

// A rectangle, which may reach beyond the image: its border is repeated there.
export function part(image, left, top, width, height) {
  const { channels } = image;
  const cut = blank(width, height, channels);
  for (let row = 0, to = 0; row < height; row += 1) {
    const line = clamp(top + row, 0, image.height - 1) * image.width;
    for (let column = 0; column < width; column += 1) {
      const from = (line + clamp(left + column, 0, image.width - 1)) * channels;
      for (let channel = 0; channel < channels; channel += 1, to += 1) {
        cut.data[to] = image.data[from + channel];
      }
    }
  }
  return cut;
}

// Luma by ITU-R BT.601, in Pillow's integers.
export function grey({ data, width, height }) {
  const result = blank(width, height, 1);
  for (let to = 0, from = 0; to < result.data.length; to += 1, from += 3) {
    result.data[to] = (data[from] * 19595 + data[from + 1] * 38470 + data[from + 2] * 7471 + 0x8000) >> 16;
  }
  return result;
}

// Turned anticlockwise by a quarter, once.
export function turned(image) {
  const { width, height, channels } = image;
  const result = blank(height, width, channels);
  for (let row = 0, to = 0; row < width; row += 1) {
    for (let column = 0; column < height; column += 1) {
      const from = (column * width + width - 1 - row) * channels;
      for (let channel = 0; channel < channels; channel += 1, to += 1) {
        result.data[to] = image.data[from + channel];
      }
    }
  }
  return result;
}

// Every value replaced by the table's.
export function mapped(image, table) {
  return { ...image, data: image.data.map((value) => table[value]) };
}

// In the top left corner of a black image whose sides are multiples of the stride.
export function padded(image, stride) {
  const [width, height] = [image.width, image.height].map((side) => Math.ceil(side / stride) * stride);
  if (width === image.width && height === image.height) return image;
  const result = blank(width, height, image.channels);
  const line = image.width * image.channels;
  for (let row = 0; row < image.height; row += 1) {
    result.data.set(image.data.subarray(row * line, (row + 1) * line), row * width * image.channels);
  }
  return result;
}

// Float32 planes, one channel after the other, of images of one size.
export function planes(images) {
  const { width, height, channels } = images[0];
  const area = width * height;
  const values = new Float32Array(images.length * channels * area);
  images.forEach(({ data }, index) => {
    for (let channel = 0; channel < channels; channel += 1) {
      const start = (index * channels + channel) * area;
      for (let pixel = 0; pixel < area; pixel += 1) {
        values[start + pixel] = data[pixel * channels + channel];
      }
    }
  });
  return values;
}
