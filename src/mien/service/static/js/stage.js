// What the page shows around the image: buttons, figures, progress and messages.

export const byId = (id) => document.getElementById(id);

const WAITING = "Readings appear here, one row a face.";

export class Stage {
  constructor(settings) {
    this.settings = settings;
    this.local = settings.mode === "local";
    this.showing = "welcome";
    this.#describe();
    this.show("welcome");
    this.reset();
  }

  // what: "welcome", "camera" or "photo", and the size in pixels of the last two.
  show(what, width, height) {
    this.showing = what;
    byId("main").dataset.showing = what;
    byId("welcome").hidden = what !== "welcome";
    byId("video").hidden = what !== "camera";
    byId("still").hidden = what !== "photo";
    byId("bar").hidden = what === "welcome";
    byId("boxes").hidden = what === "welcome";
    byId("minute").hidden = what !== "camera";
    byId("camera").hidden = what === "camera";
    byId("cameras").hidden = true;
    byId("another").textContent = what === "camera" ? "Photo" : "Another photo";
    byId("stop").textContent = what === "camera" ? "Stop" : "Close";
    for (const figure of document.querySelectorAll("[data-of=camera]")) figure.hidden = what !== "camera";
    byId("stage").style.aspectRatio = what === "welcome" ? "" : `${width} / ${height}`;
    byId("stage").style.setProperty("--ratio", what === "welcome" ? "" : String(width / height));
  }

  // Nothing has been read yet.
  reset() {
    for (const id of ["fps", "latency", "dropped", "count"]) byId(id).textContent = "–";
    for (const id of ["snapshot", "csv"]) byId(id).disabled = true;
    byId("main").classList.remove("many");
    this.#tell(WAITING);
    this.say("");
  }

  answered(reading, hasRows) {
    const count = reading.faces.length;
    byId("count").textContent = count;
    byId("boxes").dataset.count = count;
    byId("main").classList.toggle("many", count > 3);
    byId("snapshot").disabled = false;
    byId("csv").disabled = !hasRows;
    byId("latency").textContent = Math.round(reading.latency_ms);
    byId("dropped").textContent = reading.dropped ?? 0;
    this.#tell(count ? "" : this.#noFace(reading));
  }

  // words: what is being done, empty when it is done. fraction: how far, if it is known.
  busy(words, fraction) {
    byId("busy").hidden = !words;
    byId("busy-text").textContent = words && fraction !== undefined && fraction < 1
      ? `${words}: ${Math.floor(fraction * 100)} %` : `${words} …`;
    if (fraction === undefined) byId("busy-bar").removeAttribute("value");
    else byId("busy-bar").value = fraction;
    byId("start").disabled = words.startsWith("Starting");
    if (words && this.showing === "photo") this.#tell(`${words} …`);
  }

  // The networks have come; what waits for them goes on.
  fetched() {
    if (byId("busy-text").textContent.startsWith("Fetching")) this.busy("");
  }

  failed(message) {
    this.#tell("Nothing was read.");
    this.say(message);
  }

  say(message) {
    byId("message").textContent = message;
    byId("message").hidden = !message;
  }

  // A choice, where there is one. cameras: as Camera.list() returns them.
  offerCameras(cameras, current) {
    byId("cameras").hidden = cameras.length < 2;
    byId("which").replaceChildren(...cameras.map(({ id, name }) => new Option(name, id, false, id === current)));
  }

  #tell(words) {
    byId("empty").textContent = words;
    byId("empty").hidden = !words;
  }

  #noFace({ width, height }) {
    const words = "No face found. mien looks for faces that look towards the camera";
    if (!this.settings.smallestFace) return `${words}.`;
    const { px, fraction } = this.settings.smallestFace;
    const smallest = Math.round(Math.max(px, Math.min(width, height) * fraction));
    return `${words}, from about ${smallest} pixels on in an image of ${width} × ${height}.`;
  }

  #describe() {
    byId("reader").textContent = this.local ? "this browser" : "the service";
    byId("where").textContent = this.local
      ? "The networks run in this browser: no image leaves this device."
      : `Images are sent to ${location.host}, read in memory and forgotten. `
        + "To keep them on this device, choose “On this device”.";
    byId("key-form").hidden = this.local || !this.settings.needsKey;
    document.title = this.local ? "mien: on this device" : "mien: live";
    byId("legend").replaceChildren(...Object.entries(this.settings.labels).map(([label, colour]) => {
      const item = document.createElement("li");
      const dot = document.createElement("span");
      dot.className = "dot";
      dot.style.background = colour;
      item.append(dot, label);
      return item;
    }));
  }
}
