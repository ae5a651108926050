// Reads frames by the service: one is on its way at a time, so that none grows old in a queue.

const LONGEST_SIDE = 640;

const REASONS = {
  1001: "The service is stopping: trying again.",
  1008: "The service refused: check the API key.",
  1009: "The frame was too large for the service.",
  1013: "The service is busy: trying again.",
};

export class SocketReader {
  constructor({ key, maxBytes }) {
    this.key = key;
    this.maxBytes = maxBytes;
    this.canvas = document.createElement("canvas");
    this.socket = null;
    this.waiting = null;
  }

  start() {
    return this.#connect();
  }

  stop() {
    this.socket?.close(1000);
    this.socket = null;
  }

  async read(source) {
    if (this.socket?.readyState !== WebSocket.OPEN) await this.#connect();
    const frame = await this.#encode(source);
    const started = performance.now();
    const answer = await new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.socket.send(frame);
    });
    return { ...answer, latency_ms: performance.now() - started };
  }

  // A still picture goes at its full size, and by HTTP: it is no video to be smoothed.
  async readPicture(file) {
    const headers = { "Content-Type": file.type || "application/octet-stream" };
    if (this.key()) headers.Authorization = `Bearer ${this.key()}`;
    const started = performance.now();
    const response = await fetch("/predict", { method: "POST", body: file, headers }).catch(() => {
      throw new Error("The service could not be reached.");
    });
    const content = await response.json();
    if (!response.ok) throw new Error(`The service refused: ${content.error.message}`);
    content.faces.forEach((face, index) => { face.identity = index + 1; });
    return { ...content, latency_ms: performance.now() - started };
  }

  #connect() {
    return new Promise((resolve, reject) => {
      const scheme = location.protocol === "https:" ? "wss" : "ws";
      const socket = new WebSocket(`${scheme}://${location.host}/ws`);
      socket.binaryType = "arraybuffer";
      socket.onopen = () => {
        const hello = { type: "hello" };
        if (this.key()) hello.key = this.key();
        socket.send(JSON.stringify(hello));
      };
      socket.onmessage = (event) => {
        const content = JSON.parse(event.data);
        if (content.type === "ready") {
          this.socket = socket;
          resolve();
        } else if (content.type === "error") {
          this.waiting?.reject(new Error(content.error.message));
        } else {
          this.waiting?.resolve(content);
        }
      };
      socket.onclose = (event) => {
        const error = new Error(REASONS[event.code] ?? "The connection was lost: trying again.");
        error.final = event.code === 1008;
        this.waiting?.reject(error);
        reject(error);
      };
    });
  }

  async #encode(source) {
    const width = source.videoWidth;
    const height = source.videoHeight;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.getContext("2d").drawImage(source, 0, 0, this.canvas.width, this.canvas.height);
    const blob = await new Promise((resolve) => this.canvas.toBlob(resolve, "image/jpeg", 0.85));
    if (!blob) throw new Error("The camera gave no picture.");
    return blob;
  }
}
