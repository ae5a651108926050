// Puts the page together: where images come from, what reads them, what shows the readings.

import { Boxes } from "/static/view/boxes.js";
import { Camera } from "/static/view/camera.js";
import { download } from "/static/view/download.js";
import { Frame } from "/static/view/frame.js";
import { History } from "/static/view/history.js";
import { Rows } from "/static/view/rows.js";
import { snapshot } from "/static/view/snapshot.js";
import { Speaker } from "/static/view/speaker.js";
import { Timeline } from "/static/view/timeline.js";
import { summary } from "/static/view/words.js";
import { onDrop } from "./files.js";
import { LocalReader } from "./local/reader.js";
import { unshown } from "./refusals.js";
import { SocketReader } from "./socket.js";
import { byId, Stage } from "./stage.js";
import { Turns, unlessAborted } from "./turns.js";

const FEW = 3; // one of so many faces is chosen without being asked for

const settings = JSON.parse(byId("settings").textContent);
const local = settings.mode === "local";

const stage = new Stage(settings);
const turns = new Turns();
const camera = new Camera(byId("video"), () => close("The camera was disconnected."));
const frame = new Frame(byId("frame"), byId("boxes"));
const history = new History(Object.keys(settings.labels));
const timeline = new Timeline(byId("timeline"), settings.labels, history);
const speaker = new Speaker(byId("spoken"));
const looks = { colours: settings.labels, terms: settings, onPoint: point };
const rows = new Rows(byId("faces"), { ...looks, onChoose: choose });
const boxes = new Boxes(byId("boxes"), {
  ...looks,
  onChoose: (identity) => {
    choose(identity);
    rows.reveal(identity);
  },
});
const reader = local
  ? new LocalReader((words, fraction) => stage.busy(words, fraction))
  : new SocketReader({ key: () => byId("key").value, maxBytes: settings.imageBytes });

const state = { last: null, chosen: null, photo: null, shown: [] };

function choose(identity) {
  state.chosen = identity;
  rows.choose(identity);
  boxes.choose(identity);
  timeline.select(identity);
  byId("who").textContent = `of face ${identity}`;
}

function point(identity) {
  rows.point(identity);
  boxes.point(identity);
}

// Begins a session: nothing of the one before is left, and none of its answers will come.
function begin(kind) {
  const signal = turns.begin();
  camera.stop();
  reader.stop();
  frame.clear();
  boxes.clear();
  rows.clear();
  speaker.hush();
  history.begin(kind);
  Object.assign(state, { last: null, chosen: null, shown: [] });
  stage.reset();
  return signal;
}

function display(reading, image, mirrored) {
  state.last = { reading, mirrored };
  history.add(reading);
  rows.update(reading, image, mirrored);
  boxes.draw(reading, mirrored);
  const here = reading.faces.some((face) => face.identity === state.chosen);
  const alone = stage.showing === "camera" || reading.faces.length <= FEW;
  if (!here && alone && reading.faces.length) choose(reading.faces[0].identity);
  timeline.draw();
  stage.answered(reading, history.size > 0);
}

function countFrame() {
  const now = performance.now();
  state.shown = [...state.shown.filter((time) => time > now - 2000), now];
  const span = now - state.shown[0];
  const rate = (state.shown.length - 1) / (span / 1000);
  if (span > 200) byId("fps").textContent = rate.toFixed(rate < 3 ? 1 : 0);
}

async function watch(signal) {
  while (!signal.aborted) {
    await camera.nextFrame();
    if (signal.aborted) return;
    try {
      const reading = await reader.read(frame.take(camera.video), signal);
      if (signal.aborted) return;
      frame.answered(camera.mirrored);
      countFrame();
      display(reading, byId("frame"), camera.mirrored);
      speaker.follow(reading.faces);
      stage.say("");
    } catch (error) {
      if (signal.aborted) return;
      if (error.final) {
        close(error.message);
        return;
      }
      stage.say(error.message);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

async function startCamera(device) {
  const signal = begin("camera");
  stage.busy("Starting the camera");
  try {
    await Promise.all([camera.start(signal, device), reader.start(signal)]);
    if (signal.aborted) return;
    stage.show("camera", camera.video.videoWidth, camera.video.videoHeight);
    byId("video").classList.toggle("mirrored", camera.mirrored);
    stage.offerCameras(await camera.list(), camera.device);
    if (!device) byId("stop").focus();
    stage.busy("");
    watch(signal);
  } catch (error) {
    if (!signal.aborted) close(error.message);
  }
}

async function readPhoto(file) {
  if (!file) return;
  const signal = begin("photo");
  const still = byId("still");
  stage.busy("Opening the photo");
  try {
    URL.revokeObjectURL(still.src);
    still.src = URL.createObjectURL(file);
    still.alt = `Photo: ${file.name}`;
    await unlessAborted(still.decode(), signal).catch(() => {
      throw Object.assign(new Error(unshown(file)), { final: true });
    });
    stage.show("photo", still.naturalWidth, still.naturalHeight);
    stage.busy("Reading");
    speaker.tell("Reading the photo.");
    state.photo = file;
    const progress = (words, fraction) => signal.aborted || stage.busy(words, fraction);
    const reading = await reader.readPhoto(file, still, signal, progress);
    if (signal.aborted) return;
    display(reading, still, false);
    speaker.tell(summary(reading.faces));
    stage.busy("");
  } catch (error) {
    if (signal.aborted) return;
    stage.busy("");
    if (error.final) close(error.message);
    else stage.failed(error.message);
  }
}

async function readSample(name) {
  const response = await fetch(`/samples/${name}.jpg`);
  readPhoto(new File([await response.blob()], `${name}.jpg`, { type: "image/jpeg" }));
}

// Back to the start.
function close(message = "") {
  begin("");
  turns.end();
  state.photo = null;
  stage.show("welcome");
  stage.busy("");
  stage.say(message);
  byId("start").focus();
}

byId("start").addEventListener("click", () => startCamera());
byId("camera").addEventListener("click", () => startCamera());
byId("which").addEventListener("change", (event) => startCamera(event.target.value));
byId("stop").addEventListener("click", () => close());
byId("csv").addEventListener("click", () =>
  download(new Blob([history.csv()], { type: "text/csv" }), "csv"));
byId("snapshot").addEventListener("click", async () => {
  const source = stage.showing === "photo" ? byId("still") : byId("frame");
  download(await snapshot(source, { ...state.last, chosen: state.chosen }, settings.labels), "png");
});
for (const button of document.querySelectorAll("[data-do=choose]")) {
  button.addEventListener("click", () => byId("file").click());
}
for (const button of document.querySelectorAll("[data-sample]")) {
  button.addEventListener("click", () => readSample(button.dataset.sample));
}
byId("file").addEventListener("change", (event) => {
  readPhoto(event.target.files[0]);
  event.target.value = "";
});
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (state.photo && !state.last) readPhoto(state.photo);
});
addEventListener("resize", () => {
  if (state.last) boxes.draw(state.last.reading, state.last.mirrored);
  timeline.draw();
});
onDrop(readPhoto);
if (local) {
  reader.load().catch((error) => stage.say(error.message)).finally(() => stage.fetched());
}
