// Puts the page together: a source of frames, a reader, and what shows the readings.

import { Camera } from "./camera.js";
import { FaceCards } from "./faces.js";
import { History } from "./history.js";
import { LocalReader } from "./local/reader.js";
import { Overlay } from "./overlay.js";
import { SocketReader } from "./socket.js";
import { Speaker } from "./speaker.js";
import { Timeline } from "./timeline.js";

const byId = (id) => document.getElementById(id);
const settings = JSON.parse(byId("settings").textContent);
const local = settings.mode === "local";

const stage = byId("stage");
const still = byId("still");
const camera = new Camera(byId("video"));
const overlay = new Overlay(byId("overlay"), settings.labels);
const history = new History(Object.keys(settings.labels));
const timeline = new Timeline(byId("timeline"), settings.labels, history);
const speaker = new Speaker(byId("spoken"));
const cards = new FaceCards(byId("faces"), settings.labels, (identity) => {
  timeline.select(identity);
  byId("who").textContent = `of face ${identity}`;
});
const key = () => byId("key").value;
const reader = local
  ? new LocalReader()
  : new SocketReader({ key, maxBytes: settings.frameBytes });

const state = { running: false, last: null, shown: [] };

function show(message) {
  byId("message").textContent = message;
  byId("message").hidden = !message;
}

function setStage(what, width, height) {
  byId("welcome").hidden = what !== "welcome";
  byId("video").hidden = what !== "camera";
  still.hidden = what !== "picture";
  stage.style.aspectRatio = what === "welcome" ? "" : `${width} / ${height}`;
  byId("stop").disabled = what === "welcome";
  byId("snapshot").disabled = what === "welcome";
}

function display(reading, { mirrored, announce = true }) {
  state.last = { reading, mirrored };
  overlay.draw(reading, mirrored);
  cards.update(reading.faces);
  history.add(reading);
  timeline.draw();
  byId("count").textContent = reading.faces.length;
  byId("empty").hidden = reading.faces.length > 0;
  byId("csv").disabled = history.size === 0;
  byId("latency").textContent = Math.round(reading.latency_ms);
  byId("dropped").textContent = reading.dropped ?? 0;
  if (announce) speaker.say(reading.faces);
}

function countFrame() {
  const now = performance.now();
  state.shown.push(now);
  while (state.shown.length && state.shown[0] < now - 2000) state.shown.shift();
  const span = now - state.shown[0];
  if (span > 200) byId("fps").textContent = Math.round((state.shown.length - 1) / (span / 1000));
}

async function run() {
  while (state.running) {
    await camera.nextFrame();
    if (!state.running) return;
    try {
      const reading = await reader.read(camera.video);
      if (!state.running) return;
      countFrame();
      display(reading, { mirrored: camera.mirrored });
      show("");
    } catch (error) {
      if (!state.running) return;
      show(error.message);
      if (error.final) return stop({ keepMessage: true });
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

async function start() {
  show("");
  byId("start").disabled = true;
  byId("start").textContent = local ? "Loading…" : "Starting…";
  try {
    await Promise.all([camera.start(), reader.start()]);
    setStage("camera", camera.video.videoWidth, camera.video.videoHeight);
    byId("video").classList.toggle("mirrored", camera.mirrored);
    state.running = true;
    byId("stop").focus();
    run();
  } catch (error) {
    camera.stop();
    reader.stop();
    show(error.message);
  } finally {
    byId("start").disabled = false;
    byId("start").textContent = "Start camera";
  }
}

function stop({ keepMessage = false } = {}) {
  state.running = false;
  camera.stop();
  reader.stop();
  overlay.clear();
  setStage("welcome");
  cards.update([]);
  byId("count").textContent = 0;
  byId("empty").hidden = false;
  for (const id of ["fps", "latency", "dropped"]) byId(id).textContent = "–";
  if (!keepMessage) show("");
  byId("start").focus();
}

async function readPicture(file) {
  if (!file) return;
  if (state.running) stop();
  show("");
  history.clear();
  cards.update([]);
  try {
    URL.revokeObjectURL(still.src);
    still.src = URL.createObjectURL(file);
    await still.decode().catch(() => {
      throw new Error("This file is not a picture that can be shown: choose a JPEG, PNG, WebP or BMP.");
    });
    setStage("picture", still.naturalWidth, still.naturalHeight);
    overlay.clear();
    display(await reader.readPicture(file, still), { mirrored: false });
  } catch (error) {
    setStage("welcome");
    show(error.message);
  }
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function fileTime() {
  return new Date().toISOString().slice(0, 19).replaceAll(":", "-");
}

byId("start").addEventListener("click", start);
byId("stop").addEventListener("click", () => stop());
byId("csv").addEventListener("click", () =>
  download(new Blob([history.csv()], { type: "text/csv" }), `mien-${fileTime()}.csv`));
byId("snapshot").addEventListener("click", async () => {
  const source = still.hidden ? camera.video : still;
  download(await overlay.snapshot(source, state.last), `mien-${fileTime()}.png`);
});
byId("file").addEventListener("change", (event) => {
  readPicture(event.target.files[0]);
  event.target.value = "";
});
byId("key-form").addEventListener("submit", (event) => event.preventDefault());
addEventListener("resize", () => {
  if (state.last && byId("welcome").hidden) overlay.draw(state.last.reading, state.last.mirrored);
  timeline.draw();
});

let dragDepth = 0;
const dropping = (change) => {
  dragDepth = Math.max(0, dragDepth + change);
  document.body.classList.toggle("dropping", dragDepth > 0);
};
addEventListener("dragenter", () => dropping(1));
addEventListener("dragleave", () => dropping(-1));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  dropping(-dragDepth);
  readPicture(event.dataTransfer.files[0]);
});

for (const [label, colour] of Object.entries(settings.labels)) {
  const item = document.createElement("li");
  const dot = document.createElement("span");
  dot.className = "dot";
  dot.style.background = colour;
  item.append(dot, label);
  byId("legend").append(item);
}
for (const link of document.querySelectorAll("nav a[data-page]")) {
  if (link.dataset.page === settings.mode) link.setAttribute("aria-current", "page");
}
byId("key-form").hidden = local || !settings.needsKey;
byId("where").textContent = local
  ? "Both networks run in this browser: no picture leaves this device."
  : `Frames are sent to ${location.host}, read in memory and forgotten. `
    + "To keep them on this device, choose “On this device”.";
document.title = local ? "mien: on this device" : "mien: live";
timeline.draw();
if (local) reader.check().catch((error) => show(error.message));
