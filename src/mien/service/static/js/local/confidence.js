// From logits to a reading, by the rules of the model's card, as mien/calibration.py does.

export function classify(logits, labels, confidence) {
  const scaled = Array.from(logits, (value) => value / confidence.temperature);
  const largest = Math.max(...scaled);
  const powers = scaled.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((total, value) => total + value, 0);
  return weigh(powers.map((value) => value / sum), labels, confidence);
}

export function weigh(values, labels, confidence) {
  const order = values.map((_, index) => index).sort((a, b) => values[b] - values[a]);
  const set = order.filter((index) => values[index] >= confidence.set_threshold);
  return {
    emotion: labels[order[0]],
    confidence: values[order[0]],
    probabilities: Object.fromEntries(labels.map((label, index) => [label, values[index]])),
    set: (set.length ? set : order.slice(0, 1)).map((index) => labels[index]),
    uncertain: values[order[0]] < confidence.abstain_below,
  };
}
