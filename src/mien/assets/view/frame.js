// The frame of the camera that is being read: readings belong to it, not to what the camera
// shows by the time they come.

const LONGEST_SIDE = 640;
const SLOW_MS = 300; // from here on a face has changed before its reading comes
const QUICK_MS = 200;
const FADE_MS = 300;

export class Frame {
  // shown: a canvas over the video. boxes: what lies over both.
  constructor(shown, boxes) {
    this.shown = shown;
    this.boxes = boxes;
    this.canvas = document.createElement("canvas");
    this.slow = false;
  }

  // Takes what the camera shows now.
  take(video) {
    const scale = Math.min(1, LONGEST_SIDE / Math.max(video.videoWidth, video.videoHeight));
    this.canvas.width = Math.round(video.videoWidth * scale);
    this.canvas.height = Math.round(video.videoHeight * scale);
    this.canvas.getContext("2d").drawImage(video, 0, 0, this.canvas.width, this.canvas.height);
    this.taken = performance.now();
    return this.canvas;
  }

  // The frame has been read: where that took long it is shown in place of the camera's newer
  // ones, else its boxes lie over the camera's image for as long as they are fresh.
  answered(mirrored) {
    const age = performance.now() - this.taken;
    this.slow = age > (this.slow ? QUICK_MS : SLOW_MS);
    this.keep(mirrored);
    this.shown.hidden = !this.slow;
    this.boxes.classList.remove("stale");
    clearTimeout(this.timer);
    if (!this.slow) {
      this.timer = setTimeout(() => this.boxes.classList.add("stale"), FADE_MS);
    }
  }

  // What a snapshot is made of.
  keep(mirrored) {
    this.shown.width = this.canvas.width;
    this.shown.height = this.canvas.height;
    this.shown.getContext("2d").drawImage(this.canvas, 0, 0);
    this.shown.classList.toggle("mirrored", mirrored);
  }

  clear() {
    clearTimeout(this.timer);
    this.slow = false;
    this.shown.hidden = true;
    this.boxes.classList.remove("stale");
  }
}
