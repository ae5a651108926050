// Says what changed to screen readers: seldom enough to be listened to.

const PAUSE_MS = 3000;

export class Speaker {
  constructor(region) {
    this.region = region;
    this.spoken = -Infinity;
  }

  say(faces) {
    const now = performance.now();
    if (now - this.spoken < PAUSE_MS) return;
    const text = faces.length
      ? faces.map((face) => `Face ${face.identity}: ${describe(face)}`).join(". ")
      : "No face";
    if (text === this.region.textContent) return;
    this.region.textContent = text;
    this.spoken = now;
  }
}

function describe(face) {
  return face.uncertain ? `uncertain, ${face.set.join(" or ")}` : face.emotion;
}
