// The webcam.

const REASONS = {
  NotAllowedError: "The camera was not allowed: allow it in the browser's address bar and start again.",
  NotFoundError: "No camera was found: connect one, or choose a photo.",
  NotReadableError: "The camera is used by another program: close it and start again.",
  OverconstrainedError: "This camera is no longer connected: choose another.",
};

export class Camera {
  // onEnded: called when the camera goes away by itself.
  constructor(video, onEnded) {
    this.video = video;
    this.onEnded = onEnded;
    this.mirrored = true;
    this.wanted = { facingMode: "user" };
  }

  // device: of cameras(); the one that looks at the user if none is given.
  async start(signal, device = null) {
    if (!navigator.mediaDevices) {
      throw new Error("The camera needs https, or this page opened on localhost.");
    }
    if (device) this.wanted = { deviceId: { exact: device } };
    const stream = await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: 640 }, height: { ideal: 480 }, ...this.wanted },
      audio: false,
    }).catch((error) => {
      this.wanted = { facingMode: "user" };
      throw new Error(REASONS[error.name] ?? `The camera did not start: ${error.message}`);
    });
    if (signal.aborted) {
      release(stream);
      throw signal.reason;
    }
    this.stop();
    this.stream = stream;
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => {
      if (this.stream === stream) this.onEnded();
    });
    // a camera that looks away from the user is not a mirror
    this.mirrored = track.getSettings().facingMode !== "environment";
    this.video.srcObject = stream;
    await this.video.play();
  }

  // Those there are, as {id, name}; names are known once one was allowed.
  async list() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter((device) => device.kind === "videoinput").map((device, index) => (
      { id: device.deviceId, name: device.label || `Camera ${index + 1}` }));
  }

  get device() {
    return this.stream?.getVideoTracks()[0].getSettings().deviceId;
  }

  // Resolves with the next new frame; without this a frame would be read twice.
  nextFrame() {
    return new Promise((resolve) => {
      if (this.video.requestVideoFrameCallback && !document.hidden) {
        const timer = setTimeout(resolve, 500);
        this.video.requestVideoFrameCallback(() => {
          clearTimeout(timer);
          resolve();
        });
      } else {
        setTimeout(resolve, 66);
      }
    });
  }

  stop() {
    if (this.stream) release(this.stream);
    this.stream = null;
    this.video.srcObject = null;
  }
}

function release(stream) {
  for (const track of stream.getTracks()) track.stop();
}
