// One card a face, with a bar an emotion.

export class FaceCards {
  constructor(list, colours, onSelect) {
    this.list = list;
    this.colours = colours;
    this.onSelect = onSelect;
    this.cards = new Map();
    this.selected = null;
  }

  update(faces) {
    const seen = new Set(faces.map((face) => face.identity));
    for (const [identity, card] of this.cards) {
      if (!seen.has(identity)) {
        card.item.remove();
        this.cards.delete(identity);
      }
    }
    for (const face of faces) {
      if (!this.cards.has(face.identity)) this.#add(face.identity);
      this.#fill(this.cards.get(face.identity), face);
    }
    if (faces.length && !seen.has(this.selected)) this.#select(faces[0].identity);
  }

  #select(identity) {
    this.selected = identity;
    for (const [each, card] of this.cards) {
      card.button.setAttribute("aria-pressed", String(each === identity));
    }
    this.onSelect(identity);
  }

  #add(identity) {
    const item = document.createElement("li");
    const button = element("button", "face");
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => this.#select(identity));
    const who = element("span", "who");
    const score = element("span");
    who.append(element("span", "", `Face ${identity}`), score);
    const top = element("span", "top-emotion");
    const name = element("span");
    const share = element("b");
    top.append(name, share);
    button.append(who, top);
    const bars = new Map();
    for (const [label, colour] of Object.entries(this.colours)) {
      bars.set(label, addBar(button, label, colour));
    }
    item.append(button);
    this.list.append(item);
    this.cards.set(identity, { item, button, name, share, score, bars });
  }

  #fill(card, face) {
    card.name.textContent = face.uncertain ? `${face.set.slice(0, 2).join(" or ")}?` : face.emotion;
    card.name.className = face.uncertain ? "unsure" : "";
    card.share.textContent = percent(face.confidence);
    card.score.textContent = `found ${percent(face.score)}`;
    for (const [label, { fill, number }] of card.bars) {
      const value = face.probabilities[label] ?? 0;
      fill.style.transform = `scaleX(${value.toFixed(3)})`;
      number.textContent = percent(value);
    }
  }
}

function addBar(to, label, colour) {
  const row = element("span", "share");
  const track = element("span", "track");
  const fill = element("span", "fill");
  const number = element("span", "number");
  fill.style.background = colour;
  track.append(fill);
  row.append(element("span", "", label), track, number);
  to.append(row);
  return { fill, number };
}

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function percent(value) {
  return `${Math.round(value * 100)} %`;
}
