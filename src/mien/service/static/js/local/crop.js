// Cuts a face out as the network was trained to see it, as mien/faces.py does: a square level
// with the eyes, averaged down to 48 x 48, in grey; beyond the picture its border is repeated.

const SIDE = 48;
const MAX_SAMPLES = 8;

export function cropFace(image, face, geometry) {
  const { box, landmarks } = face;
  const side = Math.max(box.w, box.h);
  const span = side * geometry.scale;
  const samples = Math.min(Math.max(1, Math.ceil(span / SIDE)), MAX_SAMPLES);
  const step = span / (SIDE * samples);
  const [right, left] = landmarks;
  const roll = left ? Math.atan2(left[1] - right[1], left[0] - right[0]) : 0;
  const across = [step * Math.cos(roll), step * Math.sin(roll)];
  const down = [-across[1], across[0]];
  const shift = (side * geometry.shift_y) / step;
  const middle = (SIDE * samples - 1) / 2;
  const startX = box.x + box.w / 2 + down[0] * shift - 0.5 - middle * (across[0] + down[0]);
  const startY = box.y + box.h / 2 + down[1] * shift - 0.5 - middle * (across[1] + down[1]);
  const crop = new Uint8Array(SIDE * SIDE);
  for (let row = 0; row < SIDE; row += 1) {
    for (let column = 0; column < SIDE; column += 1) {
      let sum = 0;
      for (let v = row * samples; v < (row + 1) * samples; v += 1) {
        for (let u = column * samples; u < (column + 1) * samples; u += 1) {
          sum += grey(image, startX + u * across[0] + v * down[0], startY + u * across[1] + v * down[1]);
        }
      }
      crop[row * SIDE + column] = Math.round(sum / (samples * samples));
    }
  }
  return crop;
}

// Luma by ITU-R BT.601 between four pixels.
function grey({ data, width, height }, x, y) {
  const left = Math.floor(x);
  const top = Math.floor(y);
  const luma = (column, row) => {
    const c = Math.min(Math.max(column, 0), width - 1);
    const r = Math.min(Math.max(row, 0), height - 1);
    const at = (r * width + c) * 4;
    return 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
  };
  const fx = x - left;
  const fy = y - top;
  return (luma(left, top) * (1 - fx) + luma(left + 1, top) * fx) * (1 - fy)
    + (luma(left, top + 1) * (1 - fx) + luma(left + 1, top + 1) * fx) * fy;
}
