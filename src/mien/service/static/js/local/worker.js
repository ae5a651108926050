// The networks, in a thread of their own.

import * as ort from "/static/vendor/ort.wasm.min.mjs";
import { fetchAll } from "./fetching.js";
import { blank, rgbOf } from "./images.js";
import { networksOf } from "./networks.js";
import { Pipeline } from "./pipeline.js";

ort.env.wasm.wasmPaths = "/static/vendor/";
ort.env.wasm.numThreads = self.crossOriginIsolated
  ? Math.min(4, Math.max(1, Math.floor(navigator.hardwareConcurrency / 2)))
  : 1;

const FILES = [
  "/static/vendor/ort-wasm-simd-threaded.wasm",
  "/local/detector.onnx", "/local/aligner.onnx", "/local/model.onnx",
];
const WARM_UP_PX = 64;

let pipeline;

async function load(settings) {
  const [runtime, ...weights] = await fetchAll(FILES, (progress) => self.postMessage({ progress }));
  ort.env.wasm.wasmBinary = runtime;
  const [detector, aligner, classifier] = await Promise.all(
    weights.map((bytes) => ort.InferenceSession.create(bytes)),
  );
  const networks = networksOf(ort, { detector, aligner, classifier }, settings);
  // first runs: compiling is not waited for later
  const [height, width] = settings.framing.size_hw;
  await networks.classifier([blank(width, height, 1)]);
  pipeline = new Pipeline(networks, settings);
  await pipeline.readPhoto(blank(WARM_UP_PX, WARM_UP_PX, 3), { width: WARM_UP_PX, height: WARM_UP_PX });
}

function pixelsOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white"; // under what is transparent, as in mien/images
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return rgbOf(context.getImageData(0, 0, canvas.width, canvas.height));
}

function answer({ settings, bitmap, size, time }) {
  if (settings) return load(settings);
  const image = pixelsOf(bitmap);
  return size ? pipeline.readPhoto(image, size) : pipeline.readFrame(image, time);
}

// one after the other: a session must not be run twice at once
let queue = Promise.resolve();
self.onmessage = ({ data }) => {
  queue = queue.then(async () => {
    if (data.reset) {
      pipeline?.reset();
      return;
    }
    try {
      self.postMessage({ id: data.id, result: await answer(data) });
    } catch (error) {
      self.postMessage({ id: data.id, error: `Reading failed in this browser: ${error.message}` });
    }
  });
};
