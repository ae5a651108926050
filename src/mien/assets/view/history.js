// What was read in one session, for the timeline and the CSV; the oldest goes when there is
// too much. A session is one photo, or the camera from its start to its stop.

const MOST_ROWS = 20_000;

export class History {
  constructor(labels) {
    this.labels = labels;
    this.begin("");
  }

  get size() {
    return this.rows.length;
  }

  // Forgets what was read before. kind: "photo" or "camera".
  begin(kind) {
    this.session = `${kind} ${new Date().toISOString()}`;
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

  // The columns are those of mien's other tables, after the session and its seconds.
  csv() {
    const names = [
      "session", "time_s", "box.x", "box.y", "box.w", "box.h", "score", "emotion", "confidence",
      ...this.labels.map((label) => `probabilities.${label}`), "set", "uncertain", "identity",
    ];
    const lines = this.rows.map(({ time, face }) => [
      this.session, time.toFixed(3), face.box.x, face.box.y, face.box.w, face.box.h, face.score,
      face.emotion, face.confidence, ...this.labels.map((label) => face.probabilities[label]),
      face.set.join(" "), face.uncertain ? "True" : "False", face.identity,
    ].join(","));
    return [names.join(","), ...lines, ""].join("\n");
  }
}
