// A photo with boxes over it and a row a face; choosing either chooses both.

const photos = new WeakMap();

export default function (component) {
  const { parentElement: root, data } = component;
  if (!photos.has(root)) photos.set(root, new Photo(root, data));
  photos.get(root).show(data);
  return () => photos.delete(root);
}

class Photo {
  constructor(root, { colours, terms }) {
    const find = (query) => root.querySelector(query);
    this.image = find("img");
    this.stage = find(".stage");
    const looks = { colours, terms, onPoint: (identity) => this.point(identity) };
    this.rows = new Rows(find(".rows"), { ...looks, onChoose: (identity) => this.choose(identity) });
    this.boxes = new Boxes(find(".boxes"), {
      ...looks,
      onChoose: (identity) => {
        this.choose(identity);
        this.rows.reveal(identity);
      },
    });
    this.image.addEventListener("load", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.stage);
  }

  show({ image, name, reading }) {
    const fresh = this.name !== name;
    this.name = name;
    this.reading = reading;
    this.stage.style.setProperty("--ratio", String(reading.width / reading.height));
    this.stage.classList.toggle("many", reading.faces.length > 3);
    this.image.alt = name;
    if (this.image.src !== image) this.image.src = image;
    else this.draw();
    if (fresh && reading.faces.length && reading.faces.length <= 3) this.chosen = 1;
  }

  draw() {
    if (!this.image.naturalWidth) return;
    this.rows.update(this.reading, this.image, false);
    this.boxes.host.dataset.count = this.reading.faces.length;
    this.boxes.draw(this.reading, false);
    if (this.chosen && this.boxes.chosen !== this.chosen) this.choose(this.chosen);
  }

  choose(identity) {
    this.chosen = identity;
    this.rows.choose(identity);
    this.boxes.choose(identity);
  }

  point(identity) {
    this.rows.point(identity);
    this.boxes.point(identity);
  }
}
