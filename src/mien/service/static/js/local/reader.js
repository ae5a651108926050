// Reads frames in this browser: the networks run in a worker, so that the page stays quick.

const LONGEST_SIDE = 640;
const LONGEST_PICTURE_SIDE = 2048;

export class LocalReader {
  constructor() {
    this.worker = null;
    this.ready = null;
    this.waiting = new Map();
    this.count = 0;
  }

  // Says what is missing before anyone starts.
  async check() {
    const response = await fetch("/local/settings.json");
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

  start() {
    this.ready ??= this.#load().catch((error) => {
      this.ready = null;
      throw error;
    });
    return this.ready;
  }

  stop() {
    this.worker?.postMessage({ reset: true });
  }

  async read(source) {
    await this.start();
    return this.#ask(source, source.videoWidth, source.videoHeight, LONGEST_SIDE, true);
  }

  async readPicture(_file, image) {
    await this.start();
    const { naturalWidth, naturalHeight } = image;
    return this.#ask(image, naturalWidth, naturalHeight, LONGEST_PICTURE_SIDE, false);
  }

  async #load() {
    const settings = await this.check();
    this.worker = new Worker("/static/js/local/worker.js", { type: "module" });
    this.worker.onmessage = ({ data }) => this.#answer(data);
    this.worker.onerror = (event) => {
      const message = `The networks failed in this browser: ${event.message ?? "unknown"}`;
      for (const { reject } of this.waiting.values()) reject(new Error(message));
      this.waiting.clear();
    };
    await this.#post({ settings });
  }

  async #ask(source, width, height, longest, video) {
    const scale = Math.min(1, longest / Math.max(width, height));
    const started = performance.now();
    const bitmap = await createImageBitmap(source, {
      resizeWidth: Math.round(width * scale),
      resizeHeight: Math.round(height * scale),
      resizeQuality: "high",
    });
    const answer = await this.#post({ bitmap, video, time: started / 1000 }, [bitmap]);
    return { ...answer, dropped: 0, latency_ms: performance.now() - started };
  }

  #post(content, transfer = []) {
    return new Promise((resolve, reject) => {
      this.count += 1;
      this.waiting.set(this.count, { resolve, reject });
      this.worker.postMessage({ ...content, id: this.count }, transfer);
    });
  }

  #answer({ id, result, error }) {
    const { resolve, reject } = this.waiting.get(id) ?? {};
    this.waiting.delete(id);
    if (error) reject?.(new Error(error));
    else resolve?.(result);
  }
}
