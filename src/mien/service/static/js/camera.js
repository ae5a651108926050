// The webcam.

export class Camera {
  constructor(video) {
    this.video = video;
    this.mirrored = true;
  }

  async start() {
    if (!navigator.mediaDevices) {
      throw new Error("The camera needs https, or this page opened on localhost.");
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" },
        audio: false,
      });
    } catch (error) {
      const reasons = {
        NotAllowedError: "The camera was not allowed: allow it in the browser's address bar and start again.",
        NotFoundError: "No camera was found: connect one, or choose a picture.",
        NotReadableError: "The camera is used by another program: close it and start again.",
      };
      throw new Error(reasons[error.name] ?? `The camera did not start: ${error.message}`);
    }
    // a camera that looks away from the user is not a mirror
    this.mirrored = this.stream.getVideoTracks()[0].getSettings().facingMode !== "environment";
    this.video.srcObject = this.stream;
    await this.video.play();
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
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }
}
