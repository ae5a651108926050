// Boxes over the picture.

export class Overlay {
  constructor(canvas, colours) {
    this.canvas = canvas;
    this.colours = colours;
  }

  clear() {
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  draw(reading, mirrored) {
    const ratio = devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const fit = contain(reading, clientWidth, clientHeight);
    for (const face of reading.faces) this.#face(context, face, reading, fit, mirrored);
  }

  // The picture with its boxes, at the picture's own size.
  async snapshot(source, last) {
    const width = source.videoWidth || source.naturalWidth;
    const height = source.videoHeight || source.naturalHeight;
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    context.save();
    if (last?.mirrored) {
      context.translate(width, 0);
      context.scale(-1, 1);
    }
    context.drawImage(source, 0, 0, width, height);
    context.restore();
    if (last) {
      const fit = contain(last.reading, width, height);
      for (const face of last.reading.faces) {
        this.#face(context, face, last.reading, fit, last.mirrored);
      }
    }
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  #face(context, face, reading, fit, mirrored) {
    const w = face.box.w * fit.scale;
    const h = face.box.h * fit.scale;
    const left = mirrored ? reading.width - face.box.x - face.box.w : face.box.x;
    const x = fit.x + left * fit.scale;
    const y = fit.y + face.box.y * fit.scale;
    const colour = this.colours[face.emotion];
    context.setLineDash(face.uncertain ? [8, 6] : []);
    for (const [style, line] of [["rgb(0 0 0 / 45%)", 5], [colour, 3]]) {
      context.strokeStyle = style;
      context.lineWidth = line;
      context.beginPath();
      context.roundRect(x, y, w, h, Math.min(12, w / 8));
      context.stroke();
    }
    context.setLineDash([]);
    this.#label(context, face, x, y, colour);
  }

  #label(context, face, x, y, colour) {
    const text = face.uncertain
      ? `${face.set.slice(0, 2).join(" or ")}?`
      : `${face.emotion} ${Math.round(face.confidence * 100)} %`;
    const name = face.identity === null ? text : `${face.identity} · ${text}`;
    context.font = "600 14px system-ui, sans-serif";
    const width = context.measureText(name).width + 30;
    const top = y >= 32 ? y - 32 : y + 6;
    const left = Math.max(4, Math.min(x, context.canvas.width / context.getTransform().a - width - 4));
    context.fillStyle = "rgb(18 18 18 / 86%)";
    context.beginPath();
    context.roundRect(left, top, width, 26, 8);
    context.fill();
    context.fillStyle = colour;
    context.beginPath();
    context.roundRect(left + 8, top + 8, 10, 10, 3);
    context.fill();
    context.fillStyle = "#fff";
    context.textBaseline = "middle";
    context.fillText(name, left + 24, top + 13.5);
  }
}

// Where a picture lies that fills an area as far as its shape allows.
function contain({ width, height }, areaWidth, areaHeight) {
  const scale = Math.min(areaWidth / width, areaHeight / height);
  return { scale, x: (areaWidth - width * scale) / 2, y: (areaHeight - height * scale) / 2 };
}
