// Says what changed to screen readers: seldom enough to be listened to, and never an old
// sentence for good, since the newest waits until it is its turn.

import { summary } from "./words.js";

const PAUSE_MS = 3000;

export class Speaker {
  constructor(region) {
    this.region = region;
    this.spoken = -Infinity;
    this.timer = null;
  }

  // A photo's readings, and news of the page: at once.
  tell(text) {
    clearTimeout(this.timer);
    this.timer = null;
    if (text && text === this.region.textContent) this.region.textContent = "";
    this.region.textContent = text;
    this.spoken = performance.now();
  }

  // Readings of a camera: now, or when the last sentence has been heard.
  follow(faces) {
    this.next = summary(faces);
    if (this.timer !== null) return;
    const wait = Math.max(0, PAUSE_MS - (performance.now() - this.spoken));
    this.timer = setTimeout(() => {
      this.timer = null;
      if (this.next === this.region.textContent) return;
      this.region.textContent = this.next;
      this.spoken = performance.now();
    }, wait);
  }

  hush() {
    clearTimeout(this.timer);
    this.timer = null;
    this.region.textContent = "";
    this.spoken = -Infinity;
  }
}
