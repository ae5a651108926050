// Simpler than mien.video.tracking, which the service uses: boxes that overlap are one person,
// whose probabilities are smoothed with one time constant; nobody is followed out of sight.

import { weigh } from "./confidence.js";
import { overlap } from "./detections.js";

const TIME_CONSTANT_S = 0.35;
const FORGET_S = 1;
const LEAST_OVERLAP = 0.2;

export class Tracker {
  constructor(settings) {
    this.settings = settings;
    this.tracks = new Map();
    this.count = 0;
  }

  // faces: readings of one frame; time: in seconds.
  step(faces, time) {
    for (const [identity, track] of this.tracks) {
      if (time - track.time > FORGET_S) this.tracks.delete(identity);
    }
    const free = new Set(this.tracks.keys());
    return faces.map((face) => {
      const identity = this.#match(face, free);
      const old = this.tracks.get(identity);
      const weight = old ? 1 - Math.exp(-(time - old.time) / TIME_CONSTANT_S) : 1;
      const values = this.settings.labels.map((label, index) => {
        const before = old ? old.values[index] : 0;
        return before + (face.probabilities[label] - before) * weight;
      });
      this.tracks.set(identity, { box: face.box, values, time });
      return { ...face, ...weigh(values, face.visibility, this.settings), identity };
    });
  }

  #match(face, free) {
    let best = null;
    let most = LEAST_OVERLAP;
    for (const identity of free) {
      const shared = overlap(this.tracks.get(identity).box, face.box);
      if (shared > most) [best, most] = [identity, shared];
    }
    if (best === null) {
      this.count += 1;
      return this.count;
    }
    free.delete(best);
    return best;
  }
}
