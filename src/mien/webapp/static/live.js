// The live camera: sends a frame, waits for its reading, draws it, sends the next.

const JPEG_QUALITY = 0.8;
const ANSWER_WITHIN_MS = 8000;

// One view for each place in the page: the function below is called again for every answer.
const views = new WeakMap();

export default function (component) {
  const { parentElement: root } = component;
  let view = views.get(root);
  if (!view) {
    view = new View(root, component.data);
    views.set(root, view);
  }
  view.update(component);
  return () => {
    view.stop();
    views.delete(root);
  };
}

class View {
  constructor(root, { colours, terms }) {
    this.find = (query) => root.querySelector(query);
    this.colours = colours;
    this.live = this.find(".live");
    this.video = this.find("video");
    this.camera = new Camera(this.video, () => this.stop("The camera was disconnected."));
    this.frame = new Frame(this.find(".frame"), this.find(".boxes"));
    this.history = new History(Object.keys(colours));
    this.timeline = new Timeline(this.find(".timeline"), colours, this.history);
    this.speaker = new Speaker(this.find(".spoken"));
    const looks = { colours, terms, onPoint: (identity) => this.point(identity) };
    this.rows = new Rows(this.find(".rows"), { ...looks, onChoose: (identity) => this.choose(identity) });
    this.boxes = new Boxes(this.find(".boxes"), { ...looks, onChoose: (identity) => this.choose(identity) });
    this.find(".start").onclick = () => this.start();
    this.find(".stop").onclick = () => this.stop();
    this.find(".which").onchange = (event) => this.start(event.target.value);
    this.find(".csv").onclick = () => download(new Blob([this.history.csv()], { type: "text/csv" }), "csv");
    this.find(".save").onclick = async () =>
      download(await snapshot(this.find(".frame"), { ...this.last, chosen: this.chosen }, colours), "png");
    this.number = 0;
    this.waiting = null;
  }

  update({ data, setTriggerValue }) {
    this.send = (frame) => setTriggerValue("frame", frame);
    if (this.waiting && data.answer?.id === this.waiting.id) {
      const { sent, timer } = this.waiting;
      clearTimeout(timer);
      this.waiting = null;
      this.show(data.answer, performance.now() - sent);
      requestAnimationFrame(() => this.next());
    }
  }

  async start(device) {
    this.reset("camera");
    this.turn = new AbortController();
    const { signal } = this.turn;
    this.find(".start").disabled = true;
    try {
      await this.camera.start(signal, device);
    } catch (error) {
      if (!signal.aborted) this.stop(error.message);
      return;
    } finally {
      this.find(".start").disabled = false;
    }
    this.live.classList.add("on");
    this.find(".stage").style.setProperty("--ratio", String(this.video.videoWidth / this.video.videoHeight));
    this.video.classList.toggle("mirrored", this.camera.mirrored);
    for (const name of [".bar", ".minute"]) this.find(name).hidden = false;
    const cameras = await this.camera.list();
    this.find(".cameras").hidden = cameras.length < 2;
    this.find(".which").replaceChildren(...cameras.map(({ id, name }) =>
      new Option(name, id, false, id === this.camera.device)));
    this.first = true;
    this.next();
  }

  stop(message = "") {
    this.reset("");
    this.camera.stop();
    this.live.classList.remove("on");
    for (const name of [".bar", ".minute"]) this.find(name).hidden = true;
    this.find(".hint").textContent = "Readings appear here, one row a face.";
    this.say(message);
  }

  // A new session: nothing of the one before is left.
  reset(kind) {
    this.turn?.abort();
    clearTimeout(this.waiting?.timer);
    this.waiting = null;
    this.shown = [];
    this.chosen = null;
    this.last = null;
    this.frame.clear();
    this.boxes.clear();
    this.rows.clear();
    this.speaker.hush();
    this.history.begin(kind);
    this.find(".stats").textContent = "";
    for (const name of [".save", ".csv"]) this.find(name).disabled = true;
    this.find(".hint").hidden = false;
    this.say("");
  }

  next() {
    if (!this.camera.stream || this.waiting) return;
    // another tab of the page or of the browser is open: look again later
    if (!this.video.videoWidth || !this.live.offsetParent || document.hidden) {
      setTimeout(() => this.next(), 300);
      return;
    }
    const jpeg = this.frame.take(this.video).toDataURL("image/jpeg", JPEG_QUALITY).split(",")[1];
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
    if (!this.camera.stream) return;
    if (answer.error) {
      this.say(answer.error);
      return;
    }
    this.say("");
    const { mirrored } = this.camera;
    this.frame.answered(mirrored);
    this.last = { reading: answer, mirrored };
    this.history.add(answer);
    this.rows.update(answer, this.find(".frame"), mirrored);
    this.boxes.host.dataset.count = answer.faces.length;
    this.boxes.draw(answer, mirrored);
    const here = answer.faces.some((face) => face.identity === this.chosen);
    if (!here && answer.faces.length) this.choose(answer.faces[0].identity);
    this.timeline.draw();
    this.speaker.follow(answer.faces);
    this.find(".hint").hidden = answer.faces.length > 0;
    this.find(".hint").textContent = "No face in sight.";
    this.find(".save").disabled = false;
    this.find(".csv").disabled = this.history.size === 0;
    this.count(latencyMs);
  }

  count(latencyMs) {
    const now = performance.now();
    this.shown = [...this.shown.filter((time) => time > now - 3000), now];
    const span = now - this.shown[0];
    const perSecond = (this.shown.length - 1) / (span / 1000);
    const rate = span > 300 ? `${perSecond.toFixed(perSecond < 3 ? 1 : 0)} frames/s, ` : "";
    this.find(".stats").textContent = `${rate}${latencyMs.toFixed(0)} ms`;
  }

  choose(identity) {
    this.chosen = identity;
    this.rows.choose(identity);
    this.boxes.choose(identity);
    this.timeline.select(identity);
    this.find(".who").textContent = `of face ${identity}`;
  }

  point(identity) {
    this.rows.point(identity);
    this.boxes.point(identity);
  }

  say(text) {
    this.find(".message").textContent = text;
    this.find(".message").hidden = !text;
  }
}
