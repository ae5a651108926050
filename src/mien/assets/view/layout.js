// Where labels go. The full text goes to a face whose box is wide enough for it, or that has
// the room; the others get a number. No label covers another label or another face: a number
// without room is left out, and the list beside the image still has it.

const WIDE_LABELS_UP_TO = 3; // with so few faces a label may be wider than its box

// faces: [{x, y, w, h, text, number, chosen}] in pixels of the area.
// area: {width, height}. measure(text, form): {width, height} of a plate with that text.
// Returns [{form: "full" | "number" | "none", text, left, top, width, height}] in their order.
export function placeLabels(faces, area, measure) {
  const placed = faces.map(() => ({ form: "none" }));
  const labels = [];
  const order = faces.map((_, index) => index).sort((a, b) =>
    Number(faces[b].chosen ?? false) - Number(faces[a].chosen ?? false) || faces[a].y - faces[b].y);
  for (const index of order) {
    const others = faces.filter((_, each) => each !== index);
    const label = faces[index].chosen
      ? leastHidden(faces[index], others, labels, area, measure)
      : unhidden(faces[index], others, labels, area, measure, faces.length);
    if (!label) continue;
    placed[index] = label;
    labels.push(label);
  }
  return placed;
}

// The face that is looked at always has its full text, on top of what it covers.
function leastHidden(face, others, labels, area, measure) {
  const size = measure(face.text, "full");
  const spots = around(face, size, area, true);
  const cost = (spot) => sum([...labels, ...others], (each) => overlap(spot, each));
  const best = spots.reduce((least, spot) => (cost(spot) < cost(least) ? spot : least));
  return { form: "full", text: face.text, ...best };
}

function unhidden(face, others, labels, area, measure, count) {
  const full = measure(face.text, "full");
  const number = measure(String(face.number), "number");
  const forms = [["number", String(face.number), number]];
  if (count <= WIDE_LABELS_UP_TO || full.width <= face.w) forms.unshift(["full", face.text, full]);
  for (const [form, text, size] of forms) {
    const inside = face.h > 2.5 * size.height && face.w > 2 * size.width;
    const spots = around(face, size, area, false).filter((spot) => overlap(spot, face) === 0);
    if (inside) spots.push(around(face, size, area, true).at(-1));
    for (const spot of spots) {
      if ([...labels, ...others].every((each) => overlap(spot, each) === 0)) return { form, text, ...spot };
    }
  }
  return null;
}

function around({ x, y, w, h }, { width, height }, area, inside) {
  const gap = 3;
  const corners = [
    [x, y - height - gap], [x + w - width, y - height - gap],
    [x, y + h + gap], [x + w - width, y + h + gap],
    [x + w + gap, y], [x - width - gap, y],
  ];
  if (inside) corners.push([x + gap, y + gap]);
  return corners.map(([left, top]) => ({
    left: Math.max(0, Math.min(left, area.width - width)),
    top: Math.max(0, Math.min(top, area.height - height)),
    width,
    height,
  }));
}

function overlap(spot, other) {
  const { left, top, width, height } = edges(other);
  const w = Math.min(spot.left + spot.width, left + width) - Math.max(spot.left, left);
  const h = Math.min(spot.top + spot.height, top + height) - Math.max(spot.top, top);
  return Math.max(0, w) * Math.max(0, h);
}

function edges(other) {
  return "left" in other ? other : { left: other.x, top: other.y, width: other.w, height: other.h };
}

function sum(items, value) {
  return items.reduce((total, item) => total + value(item), 0);
}
