// The live camera: sends a frame, waits for its reading, draws it, sends the next.

const LONGER_SIDE_PX = 640;
const JPEG_QUALITY = 0.8;
const ANSWER_WITHIN_MS = 8000;
const NAMES = {
  NotAllowedError: "The camera was not allowed: allow it in the browser's address bar and start again.",
  NotFoundError: "No camera was found: connect one and start again.",
  NotReadableError: "The camera is used by another program: close it and start again.",
};

// One view for each place in the page: the function below is called again for every answer.
const views = new WeakMap();

export default function (component) {
  const { parentElement: root } = component;
  let view = views.get(root);
  if (!view) {
    view = new View(root);
    views.set(root, view);
  }
  view.update(component);
  return () => {
    view.stop();
    views.delete(root);
  };
}

class View {
  constructor(root) {
    const find = (name) => root.querySelector(name);
    this.live = find(".live");
    this.video = find("video");
    this.overlay = find(".overlay");
    this.faces = find(".faces");
    this.stats = find(".stats");
    this.message = find(".message");
    this.hint = find(".hint");
    this.stopButton = find(".stop");
    this.startButton = find(".start");
    this.startButton.onclick = () => this.start();
    this.stopButton.onclick = () => this.stop();
    this.canvas = document.createElement("canvas");
    this.number = 0;
    this.waiting = null;
    this.shown = [];
  }

  update({ data, setTriggerValue }) {
    this.send = (frame) => setTriggerValue("frame", frame);
    this.colours = data.colours;
    if (this.waiting && data.answer?.id === this.waiting.id) {
      const { sent, timer } = this.waiting;
      clearTimeout(timer);
      this.waiting = null;
      this.show(data.answer, performance.now() - sent);
      requestAnimationFrame(() => this.next());
    }
  }

  async start() {
    this.say("");
    this.startButton.disabled = true;
    try {
      if (!navigator.mediaDevices) throw new Error("The camera needs https, or this page on localhost.");
      this.stream = await navigator.mediaDevices.getUserMedia({
        video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" },
        audio: false,
      });
      this.stream.getVideoTracks()[0].onended = () => this.stop("The camera was disconnected.");
      this.video.srcObject = this.stream;
      await this.video.play();
    } catch (error) {
      this.stop(NAMES[error.name] ?? error.message);
      return;
    } finally {
      this.startButton.disabled = false;
    }
    this.live.classList.add("on");
    this.stopButton.hidden = false;
    this.first = true;
    this.next();
  }

  stop(message = "") {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
    clearTimeout(this.waiting?.timer);
    this.waiting = null;
    this.shown = [];
    this.live.classList.remove("on");
    this.stopButton.hidden = true;
    this.overlay.getContext("2d").clearRect(0, 0, this.overlay.width, this.overlay.height);
    this.faces.replaceChildren();
    this.stats.textContent = "";
    this.hint.textContent = "Readings appear here, one card a face.";
    this.hint.hidden = false;
    this.say(message);
  }

  next() {
    if (!this.stream || this.waiting) return;
    const { videoWidth: width, videoHeight: height } = this.video;
    // another tab of the page or of the browser is open: look again later
    if (!width || !this.live.offsetParent || document.hidden) {
      setTimeout(() => this.next(), 300);
      return;
    }
    const scale = Math.min(1, LONGER_SIDE_PX / Math.max(width, height));
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    const jpeg = this.canvas.toDataURL("image/jpeg", JPEG_QUALITY).split(",")[1];
    this.number += 1;
    const id = `${performance.timeOrigin}-${this.number}`;
    this.waiting = {
      id,
      sent: performance.now(),
      timer: setTimeout(() => {
        this.waiting = null;
        this.say("The app is slow to answer; trying again.");
        this.next();
      }, ANSWER_WITHIN_MS),
    };
    this.send({ id, jpeg, first: this.first });
    this.first = false;
  }

  show(answer, latencyMs) {
    if (!this.stream) return;
    if (answer.error) {
      this.say(answer.error);
      return;
    }
    this.say("");
    const now = performance.now();
    this.shown = [...this.shown.filter((time) => time > now - 3000), now];
    const span = now - this.shown[0];
    const rate = span > 300 ? `${((this.shown.length - 1) / (span / 1000)).toFixed(0)} frames/s, ` : "";
    this.stats.textContent = `${rate}${latencyMs.toFixed(0)} ms`;
    this.hint.hidden = answer.faces.length > 0;
    this.hint.textContent = "No face in sight.";
    this.draw(answer);
    this.faces.replaceChildren(...answer.faces.slice(0, 4).map((face) => this.card(face)));
  }

  draw({ width, height, faces }) {
    this.overlay.width = width;
    this.overlay.height = height;
    const pen = this.overlay.getContext("2d");
    const fontPx = Math.max(14, Math.round(width / 34));
    pen.font = `600 ${fontPx}px sans-serif`;
    pen.textBaseline = "middle";
    for (const { box, emotion, headline, uncertain } of faces) {
      const left = width - box.x - box.w; // the picture is a mirror, the letters are not
      pen.setLineDash(uncertain ? [12, 8] : []);
      pen.lineWidth = 6;
      pen.strokeStyle = "rgba(18, 18, 18, 0.5)";
      pen.strokeRect(left, box.y, box.w, box.h);
      pen.lineWidth = 4;
      pen.strokeStyle = this.colours[emotion];
      pen.strokeRect(left, box.y, box.w, box.h);
      const textWidth = pen.measureText(headline).width + fontPx;
      const plateY = Math.max(0, box.y - fontPx * 1.7);
      const plateX = Math.min(Math.max(0, left), Math.max(0, width - textWidth));
      pen.fillStyle = "rgba(18, 18, 18, 0.78)";
      pen.beginPath();
      pen.roundRect(plateX, plateY, textWidth, fontPx * 1.5, 6);
      pen.fill();
      pen.fillStyle = "#fff";
      pen.fillText(headline, plateX + fontPx / 2, plateY + fontPx * 0.78);
    }
  }

  card({ emotion, headline, probabilities, uncertain }) {
    const card = document.createElement("section");
    card.className = uncertain ? "face unsure" : "face";
    card.style.setProperty("--emotion", this.colours[emotion]);
    const title = document.createElement("b");
    title.textContent = headline;
    const list = document.createElement("ul");
    for (const [label, colour] of Object.entries(this.colours)) {
      const share = probabilities[label] ?? 0;
      const row = document.createElement("li");
      const fill = element("span", "fill");
      fill.style.width = `${share * 100}%`;
      fill.style.background = colour;
      const track = element("span", "track");
      track.append(fill);
      const value = element("span", "value", `${Math.round(share * 100)} %`);
      row.append(element("span", "name", label[0].toUpperCase() + label.slice(1)), track, value);
      list.append(row);
    }
    card.append(title, list);
    return card;
  }

  say(text) {
    this.message.textContent = text;
    this.message.hidden = !text;
  }
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}
