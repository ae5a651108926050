// Reads in this browser: the networks run in a worker, so that the page stays quick.

import { DAMAGED } from "../refusals.js";
import { unlessAborted } from "../turns.js";

// By how much large photos are reduced, of all formats, for the sake of memory; mien.images reduces
// JPEG alone.
const REDUCTIONS = [8, 4, 2, 1];

export class LocalReader {
  // onProgress(words, fraction or nothing): how far the networks have come.
  constructor(onProgress) {
    this.onProgress = onProgress;
    this.worker = null;
    this.ready = null;
    this.needsPx = 0;
    this.waiting = new Map();
    this.count = 0;
  }

  // Fetches the networks; what was fetched once is not fetched again.
  load() {
    this.ready ??= this.#load().catch((error) => {
      this.ready = null;
      throw error;
    });
    return this.ready;
  }

  start(signal) {
    return unlessAborted(this.load(), signal);
  }

  stop() {
    this.worker?.postMessage({ reset: true });
  }

  // canvas: holds the frame.
  async read(canvas, signal) {
    const started = performance.now();
    const bitmap = await createImageBitmap(canvas);
    const answer = await this.#post({ bitmap, time: started / 1000 }, [bitmap], signal);
    return { ...answer, dropped: 0, latency_ms: performance.now() - started };
  }

  async readPhoto(_file, image, signal, onProgress) {
    await this.start(signal);
    onProgress("Reading");
    const { naturalWidth: width, naturalHeight: height } = image;
    const shorter = Math.min(width, height);
    const by = REDUCTIONS.find((each) => each === 1 || shorter >= each * this.needsPx);
    const started = performance.now();
    const reduced = {
      resizeWidth: Math.ceil(width / by), resizeHeight: Math.ceil(height / by), resizeQuality: "high",
    };
    const bitmap = await createImageBitmap(image, by === 1 ? {} : reduced).catch(() => {
      throw new Error(DAMAGED);
    });
    const answer = await this.#post({ bitmap, size: { width, height } }, [bitmap], signal);
    return { ...answer, latency_ms: performance.now() - started };
  }

  async #load() {
    this.onProgress("Fetching the networks");
    const settings = await this.#settings();
    this.needsPx = settings.detector.needs_px;
    this.worker = new Worker("/static/js/local/worker.js", { type: "module" });
    this.worker.onmessage = ({ data }) => this.#answer(data);
    this.worker.onerror = (event) => {
      const message = `The networks failed in this browser: ${event.message ?? "unknown"}`;
      for (const { reject } of this.waiting.values()) reject(new Error(message));
      this.waiting.clear();
    };
    await this.#post({ settings });
  }

  async #settings() {
    const response = await fetch("/local/settings.json").catch(() => {
      throw new Error("The service could not be reached: is it still running?");
    });
    const settings = await response.json();
    if (!response.ok) throw new Error(settings.error.message);
    if (!settings.runtime) {
      throw new Error(
        "The browser's ONNX Runtime is not installed on this service: whoever runs it can get it "
        + "with “make web-assets” in mien's source folder. The live page works without.",
      );
    }
    if (!settings.model) {
      throw new Error("This service runs a model that a browser cannot run: use the live page.");
    }
    return settings;
  }

  #post(content, transfer = [], signal = null) {
    this.count += 1;
    const id = this.count;
    const answer = new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ ...content, id }, transfer);
    });
    return signal ? unlessAborted(answer, signal) : answer;
  }

  #answer({ id, result, error, progress }) {
    if (progress) {
      this.onProgress("Fetching the networks", progress.total ? progress.loaded / progress.total : undefined);
      return;
    }
    const { resolve, reject } = this.waiting.get(id) ?? {};
    this.waiting.delete(id);
    if (error) reject?.(new Error(error));
    else resolve?.(result);
  }
}
