// The three networks as functions: images in, maps or logits out.

import { planes } from "./images.js";

const BATCH = 32; // faces that are classified at once

// sessions: of ONNX Runtime. settings: all of them.
export function networksOf(ort, sessions, settings) {
  const { detector, aligner, classifier } = sessions;
  return {
    detector: ({ data, width, height }) =>
      detector.run({ image: new ort.Tensor("uint8", data, [1, height, width, 3]) }),
    aligner: (images) => {
      const shape = [images.length, 3, images[0].height, images[0].width];
      return aligner.run({ image: new ort.Tensor("float32", planes(images), shape) });
    },
    classifier: async (crops) => {
      const rows = [];
      for (let start = 0; start < crops.length; start += BATCH) {
        rows.push(...await classify(ort, classifier, crops.slice(start, start + BATCH), settings));
      }
      return rows;
    },
  };
}

async function classify(ort, session, crops, { head, labels, framing: { size_hw: [height, width] } }) {
  const area = height * width;
  const values = new Uint8Array(crops.length * area);
  crops.forEach((crop, index) => values.set(crop.data, index * area));
  const shape = [crops.length, height, width, 1];
  const tensor = session.inputMetadata?.[0]?.type === "uint8"
    ? new ort.Tensor("uint8", values, shape)
    : new ort.Tensor("float32", Float32Array.from(values), shape);
  const { [head]: output } = await session.run({ [session.inputNames[0]]: tensor }, [head]);
  return crops.map((_, index) => output.data.slice(index * labels.length, (index + 1) * labels.length));
}
