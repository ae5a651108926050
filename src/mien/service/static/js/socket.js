// Reads by the service: one frame is on its way at a time, so that none grows old in a queue.

import { checkSize, refusal } from "./refusals.js";
import { unlessAborted } from "./turns.js";

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
    this.line = null;
  }

  async start(signal) {
    this.line = await open(this.key(), signal);
  }

  stop() {
    this.line?.close();
    this.line = null;
  }

  // canvas: holds the frame.
  async read(canvas, signal) {
    if (!this.line?.isOpen) await this.start(signal);
    const frame = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.85));
    if (!frame) throw new Error("The camera gave no image.");
    const started = performance.now();
    const answer = await unlessAborted(this.line.ask(frame), signal);
    return { ...answer, latency_ms: performance.now() - started };
  }

  // A photo goes at its full size, and by HTTP: it is not video to be smoothed.
  async readPhoto(file, _image, signal, onProgress) {
    checkSize(file, this.maxBytes);
    const started = performance.now();
    const { status, text } = await post(file, this.key(), signal, onProgress);
    if (status !== 200) throw new Error(refusal(status, text));
    const content = JSON.parse(text);
    content.faces.forEach((face, index) => { face.identity = index + 1; });
    return { ...content, latency_ms: performance.now() - started };
  }
}

class Line {
  constructor(socket) {
    this.socket = socket;
    this.waiting = null;
  }

  get isOpen() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  ask(frame) {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.socket.send(frame);
    });
  }

  close() {
    this.socket.close(1000);
  }
}

function open(key, signal) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/ws`);
  const line = new Line(socket);
  const ready = new Promise((resolve, reject) => {
    socket.onopen = () => socket.send(JSON.stringify(key ? { type: "hello", key } : { type: "hello" }));
    socket.onmessage = (event) => {
      const content = JSON.parse(event.data);
      if (content.type === "ready") resolve(line);
      else if (content.type === "error") line.waiting?.reject(new Error(content.error.message));
      else line.waiting?.resolve(content);
    };
    socket.onclose = (event) => {
      const error = new Error(REASONS[event.code] ?? "The connection was lost: trying again.");
      error.final = event.code === 1008;
      line.waiting?.reject(error);
      reject(error);
    };
  });
  return unlessAborted(ready, signal).catch((error) => {
    socket.close();
    throw error;
  });
}

// By XMLHttpRequest, since fetch does not say how much has been sent.
function post(file, key, signal, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => {
      request.abort();
      reject(signal.reason);
    };
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    request.open("POST", "/predict");
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    if (key) request.setRequestHeader("Authorization", `Bearer ${key}`);
    request.upload.onprogress = ({ loaded, total }) => onProgress("Sending the photo", loaded / total);
    request.upload.onload = () => onProgress("Reading");
    request.onload = () => resolve({ status: request.status, text: request.responseText });
    request.onerror = () => reject(new Error("The service could not be reached: is it still running?"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    request.send(file);
  });
}
