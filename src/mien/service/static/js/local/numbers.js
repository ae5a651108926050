// Numbers as NumPy makes them.

// To the nearest integer, a half to the even one.
export function rint(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

export function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}

export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

// Standard deviation.
export function deviation(values) {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / values.length);
}

// Interpolated between the two nearest ranks. values: a typed array.
export function percentiles(values, ranks) {
  const sorted = values.slice().sort();
  return ranks.map((rank) => {
    const at = (rank / 100) * (sorted.length - 1);
    const below = Math.floor(at);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
  });
}
