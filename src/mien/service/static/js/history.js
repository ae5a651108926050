// What was read, for the timeline and the CSV; the oldest goes when there is too much.

const MOST_ROWS = 20_000;

export class History {
  constructor(labels) {
    this.labels = labels;
    this.clear();
  }

  get size() {
    return this.rows.length;
  }

  clear() {
    this.rows = [];
    this.start = performance.now();
  }

  add(reading) {
    const time = (performance.now() - this.start) / 1000;
    for (const face of reading.faces) this.rows.push({ time, face });
    if (this.rows.length > MOST_ROWS) this.rows.splice(0, this.rows.length - MOST_ROWS);
  }

  // The readings of one face over the last seconds.
  of(identity, seconds) {
    const since = (performance.now() - this.start) / 1000 - seconds;
    return this.rows.filter((row) => row.time >= since && row.face.identity === identity);
  }

  // The columns are those of mien's other tables, with the time in front.
  csv() {
    const names = [
      "time_s", "box.x", "box.y", "box.w", "box.h", "score", "emotion", "confidence",
      ...this.labels.map((label) => `probabilities.${label}`), "set", "uncertain", "identity",
    ];
    const lines = this.rows.map(({ time, face }) => [
      time.toFixed(3), face.box.x, face.box.y, face.box.w, face.box.h, face.score, face.emotion,
      face.confidence, ...this.labels.map((label) => face.probabilities[label]),
      face.set.join(" "), face.uncertain ? "True" : "False", face.identity,
    ].join(","));
    return [names.join(","), ...lines, ""].join("\n");
  }
}
