// One way to write a percentage, an expression and a reading, on every page.

const SETS = { 0.8: "Four times in five", 0.9: "Nine times in ten", 0.95: "Nineteen times in twenty" };

export function percent(fraction) {
  if (fraction > 0 && fraction < 0.005) return "<1 %";
  if (fraction >= 0.995 && fraction < 1) return ">99 %";
  return `${Math.round(fraction * 100)} %`;
}

export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// "Happy, 97 %", or "Sad or fear?" where the model does not name one expression.
export function headline(face) {
  return face.uncertain ? `${likely(face)}?` : `${capital(face.emotion)}, ${percent(face.confidence)}`;
}

// The expression alone: "Happy", "Sad or fear?".
export function expression(face) {
  return face.uncertain ? `${likely(face)}?` : capital(face.emotion);
}

// As a screen reader says it: a question mark is not heard.
export function spoken(face) {
  return face.uncertain ? `uncertain, ${likely(face).toLowerCase()}` : `${face.emotion}, ${percent(face.confidence)}`;
}

// What the prediction set promises.
export function promise(face, coverage) {
  const often = SETS[coverage] ?? `In ${percent(coverage)} of cases`;
  const labels = face.set.length ? face.set : [face.emotion];
  return `${often} the true label is among: ${labels.join(", ")}.`;
}

// Why no expression is named: what a face lacks to be read, if the reader says so.
export function doubt(face, abstainBelow) {
  if (!face.uncertain) return "";
  const seen = (face.reasons ?? []).filter((reason) => reason !== "expression unclear");
  if (seen.length) return `Uncertain, since the face is ${seen.join(", ")}.`;
  return `Uncertain: none of the expressions reaches ${percent(abstainBelow)}.`;
}

// "29 faces: 12 happy, 9 neutral, 8 uncertain", or each of a few.
export function summary(faces) {
  if (!faces.length) return "No face found.";
  if (faces.length <= 3) {
    return `${faces.map((face) => `Face ${face.identity}: ${spoken(face)}`).join(". ")}.`;
  }
  const counts = new Map();
  for (const face of faces) {
    const word = face.uncertain ? "uncertain" : face.emotion;
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const parts = [...counts].sort((a, b) => b[1] - a[1]).map(([word, count]) => `${count} ${word}`);
  return `${faces.length} faces: ${parts.join(", ")}.`;
}

function likely(face) {
  return capital((face.set.length ? face.set : [face.emotion]).slice(0, 2).join(" or "));
}
