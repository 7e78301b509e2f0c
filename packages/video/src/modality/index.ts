/** Videos, for tools that know no modality. */
import type { ModalityPackage } from "@unmask/core";
import { crossVideoMae } from "../methods/cross-video-mae.js";
import { textGuidedVideoMae } from "../methods/text-guided-video-mae.js";
import { videoMae } from "../methods/video-mae.js";
import { videoVit } from "../methods/video-vit.js";
import { writeReconstruction } from "../pictures/write-reconstruction.js";
import { createVideoClassifier } from "./classifier.js";
import { configureVideos } from "./configure.js";
import { openVideos, rawPixels, videoDataSchema } from "./data.js";
import { exportVideoModel, importVideoModel } from "./foreign.js";

export const modality: ModalityPackage = {
  name: "video",
  samples: "clips",
  methods: [videoMae, crossVideoMae, textGuidedVideoMae, videoVit],
  defaultMethod: videoMae.id,
  dataSchema: videoDataSchema,
  configure: configureVideos,
  open: openVideos,
  raw: { name: "raw pixels, reduced", features: rawPixels },
  writeReconstruction,
  createClassifier: createVideoClassifier,
  importModel: importVideoModel,
  exportModel: exportVideoModel,
};
