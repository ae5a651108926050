// Both networks, in a thread of their own.

import * as ort from "/static/vendor/ort.wasm.min.mjs";
import { classify } from "./confidence.js";
import { cropFace } from "./crop.js";
import { Detector } from "./detector.js";
import { fetchAll } from "./fetching.js";
import { Tracker } from "./tracker.js";

ort.env.wasm.wasmPaths = "/static/vendor/";
ort.env.wasm.numThreads = self.crossOriginIsolated
  ? Math.min(4, Math.max(1, Math.floor(navigator.hardwareConcurrency / 2)))
  : 1;

const SIDE = 48;
const FILES = [
  "/static/vendor/ort-wasm-simd-threaded.wasm", "/local/detector.onnx", "/local/model.onnx",
];

let settings;
let detector;
let network;
let tracker = new Tracker();

async function load(received) {
  settings = received;
  const [runtime, ...networks] = await fetchAll(FILES, (progress) => self.postMessage({ progress }));
  ort.env.wasm.wasmBinary = runtime;
  const [detectorSession, networkSession] = await Promise.all(
    networks.map((bytes) => ort.InferenceSession.create(bytes)),
  );
  detector = new Detector(ort, detectorSession);
  network = networkSession;
  await read(new ImageData(64, 64), false); // a first reading: compiling is not waited for later
  tracker = new Tracker();
}

function pixelsOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

async function read(image, video, time = 0) {
  const faces = await detector.find(image);
  const logits = faces.length ? await run(faces.map((face) => cropFace(image, face, settings.geometry))) : [];
  const read = faces.map((face, index) => ({
    ...face,
    ...classify(logits[index], settings.labels, settings.confidence),
    identity: index + 1,
  }));
  const tracked = video ? tracker.step(read, time, settings) : read;
  return { width: image.width, height: image.height, faces: tracked };
}

async function run(crops) {
  const values = new Uint8Array(crops.length * SIDE * SIDE);
  crops.forEach((crop, index) => values.set(crop, index * SIDE * SIDE));
  const shape = [crops.length, SIDE, SIDE, 1];
  const name = network.inputNames[0];
  const asFloat = network.inputMetadata?.[0]?.type !== "uint8";
  const tensor = asFloat
    ? new ort.Tensor("float32", Float32Array.from(values), shape)
    : new ort.Tensor("uint8", values, shape);
  const { [settings.head]: output } = await network.run({ [name]: tensor }, [settings.head]);
  const columns = settings.labels.length;
  return crops.map((_, index) => output.data.slice(index * columns, (index + 1) * columns));
}

// one after the other: a session must not be run twice at once
let queue = Promise.resolve();
self.onmessage = ({ data }) => {
  queue = queue.then(async () => {
    if (data.reset) {
      tracker = new Tracker();
      return;
    }
    try {
      const result = data.settings
        ? await load(data.settings)
        : await read(pixelsOf(data.bitmap), data.video, data.time);
      self.postMessage({ id: data.id, result });
    } catch (error) {
      self.postMessage({ id: data.id, error: `Reading failed in this browser: ${error.message}` });
    }
  });
};
