// CenterFace, as in mien/faces.py: the same sizes, thresholds and order.

const WORKABLE_FACE_PX = 16;
const STRIDE = 32;
const CELL_PX = 4;
const MAX_OVERLAP = 0.3;
const SMALLEST_SHARE = 24;
const SMALLEST_PX = 20;
const MIN_INPUT_PX = 96;
const MAX_INPUT_PX = 2048;
const THRESHOLD = 0.4;

export class Detector {
  constructor(ort, session) {
    this.ort = ort;
    this.session = session;
  }

  // image: ImageData. Faces surest first, boxes and landmarks in its pixels.
  async find(image) {
    const [height, width] = inputSize(image.height, image.width);
    const values = planes(resize(image, width, height));
    const feeds = { image: new this.ort.Tensor("float32", values, [1, 3, height, width]) };
    const maps = await this.session.run(feeds);
    const found = suppress(decode(maps, width / CELL_PX, height / CELL_PX));
    return found.map((face) => scaled(face, image.width / width, image.height / height));
  }
}

export function inputSize(height, width) {
  const shorter = Math.min(height, width);
  const longer = Math.max(height, width);
  const smallest = Math.max(SMALLEST_PX, shorter / SMALLEST_SHARE);
  let scale = Math.min(1, WORKABLE_FACE_PX / smallest, MAX_INPUT_PX / longer);
  scale = Math.max(scale, Math.min(MIN_INPUT_PX / shorter, MAX_INPUT_PX / longer));
  return [height, width].map((side) => Math.max(1, Math.round((side * scale) / STRIDE)) * STRIDE);
}

function resize(image, width, height) {
  const source = new OffscreenCanvas(image.width, image.height);
  source.getContext("2d").putImageData(image, 0, 0);
  const target = new OffscreenCanvas(width, height);
  const context = target.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

function planes({ data, width, height }) {
  const area = width * height;
  const values = new Float32Array(3 * area);
  for (let pixel = 0; pixel < area; pixel += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      values[channel * area + pixel] = data[pixel * 4 + channel];
    }
  }
  return values;
}

function decode(maps, columns, rows) {
  const area = columns * rows;
  const heat = maps.heatmap.data;
  const size = maps.log_size.data;
  const offset = maps.offset.data;
  const marks = maps.landmarks.data;
  const found = [];
  for (let cell = 0; cell < area; cell += 1) {
    if (!(heat[cell] > THRESHOLD)) continue;
    const h = Math.exp(size[cell]) * CELL_PX;
    const w = Math.exp(size[area + cell]) * CELL_PX;
    const x = ((cell % columns) + 0.5 + offset[area + cell]) * CELL_PX - w / 2;
    const y = (Math.floor(cell / columns) + 0.5 + offset[cell]) * CELL_PX - h / 2;
    const landmarks = [0, 1, 2, 3, 4].map((point) => [
      x + marks[(2 * point + 1) * area + cell] * w,
      y + marks[2 * point * area + cell] * h,
    ]);
    found.push({ x, y, w, h, score: heat[cell], landmarks });
  }
  return found.sort((a, b) => b.score - a.score);
}

function suppress(found) {
  const kept = [];
  for (const face of found) {
    if (kept.every((other) => overlap(face, other) <= MAX_OVERLAP)) kept.push(face);
  }
  return kept;
}

export function overlap(a, b) {
  const w = Math.max(0, Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x));
  const h = Math.max(0, Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y));
  return (w * h) / Math.max(1e-9, a.w * a.h + b.w * b.h - w * h);
}

function scaled({ x, y, w, h, score, landmarks }, scaleX, scaleY) {
  const left = Math.round(x * scaleX);
  const top = Math.round(y * scaleY);
  return {
    box: {
      x: left,
      y: top,
      w: Math.max(1, Math.round((x + w) * scaleX) - left),
      h: Math.max(1, Math.round((y + h) * scaleY) - top),
    },
    score,
    landmarks: landmarks.map(([px, py]) => [px * scaleX, py * scaleY]),
  };
}
