// From logits to a reading, by the rules of the model's card, as in mien/calibration.py.

import { reasonsOf } from "./visibility.js";

// Returns calibrated probabilities, in the order of the logits.
export function probabilitiesOf(logits, { temperature }) {
  const scaled = Array.from(logits, (value) => value / temperature);
  if (!scaled.every(Number.isFinite)) throw new Error("the model's answer is not finite");
  const largest = Math.max(...scaled);
  const powers = scaled.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

// values: probabilities. seen: visibility of the face. settings: all of them.
export function weigh(values, seen, { labels, calibration, visibility }) {
  const order = values.map((_, index) => index).sort((a, b) => values[b] - values[a]);
  const set = order.filter((index) => values[index] >= calibration.set_threshold);
  const confidence = values[order[0]];
  const unclear = confidence < calibration.abstain_below ? [visibility.unclear] : [];
  const reasons = [...reasonsOf(seen, visibility), ...unclear];
  return {
    emotion: labels[order[0]],
    confidence,
    probabilities: Object.fromEntries(labels.map((label, index) => [label, values[index]])),
    set: (set.length ? set : order.slice(0, 1)).map((index) => labels[index]),
    uncertain: reasons.length > 0,
    reasons,
    visibility: seen,
  };
}
