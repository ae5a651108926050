// From an image to readings: detect, crop, classify, interpret, as mien.predictor does.

import { Aligner } from "./aligner.js";
import { CenterFace } from "./centerface.js";
import { probabilitiesOf, weigh } from "./confidence.js";
import { cutOut } from "./crop.js";
import { scaledFace } from "./detections.js";
import { SecondLook } from "./looks.js";
import { cropSquare } from "./template.js";
import { Tracker } from "./tracker.js";
import { stretchContrast, visibilityOf } from "./visibility.js";
import { YuNet } from "./yunet.js";

export class Pipeline {
  // networks: {detector, aligner, classifier}, as in networks.js.
  constructor(networks, settings) {
    const { detector } = settings;
    const aligner = new Aligner(networks.aligner, settings.aligner);
    const first = new YuNet(networks.detector, aligner, detector);
    const last = new CenterFace(networks.aligner, aligner, detector);
    this.detector = new SecondLook(first, last, detector);
    this.classify = networks.classifier;
    this.settings = settings;
    this.reset();
  }

  // What comes next is another video.
  reset() {
    this.detector.reset();
    this.tracker = new Tracker(this.settings);
  }

  // size: {width, height} of the photo that the RGB image may be a reduced form of; boxes are in
  // its pixels.
  async readPhoto(image, size) {
    const faces = await this.#read(image, size, false);
    return { ...size, faces: faces.map((face, index) => ({ ...face, identity: index + 1 })) };
  }

  // time: in seconds.
  async readFrame(image, time) {
    const { width, height } = image;
    const faces = await this.#read(image, { width, height }, true);
    return { width, height, faces: this.tracker.step(faces, time) };
  }

  async #read(image, size, video) {
    const { settings } = this;
    const scale = [size.width / image.width, size.height / image.height];
    const found = await this.detector.find(image, video);
    const faces = this.#wanted(found.map((face) => scaledFace(face, scale)));
    if (!faces.length) return [];
    const crops = faces.map((face) =>
      cutOut(image, cropSquare(face, settings.framing), scale, settings.framing));
    const logits = await this.classify(crops.map((crop) => stretchContrast(crop, settings.contrast)));
    return faces.map((face, index) => {
      const seen = visibilityOf(crops[index], face, size, settings);
      return { ...face, ...weigh(probabilitiesOf(logits[index], settings.calibration), seen, settings) };
    });
  }

  #wanted(faces) {
    const { min_score: score, min_face_px: px } = this.settings.detector;
    return faces.filter((face) => face.score >= score && Math.max(face.box.w, face.box.h) >= px);
  }
}
