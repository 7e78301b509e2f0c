/** Sound, for tools that know no modality. */
import type { ModalityPackage } from "@unmask/core";
import { audioMae } from "../methods/audio-mae.js";
import { audioVit } from "../methods/audio-vit.js";
import { writeReconstruction } from "../pictures/write-reconstruction.js";
import { createAudioClassifier } from "./classifier.js";
import { configureAudio } from "./configure.js";
import { audioDataSchema, melStatistics, openAudio } from "./data.js";
import { exportAudioModel, importAudioModel } from "./foreign.js";

export const modality: ModalityPackage = {
  name: "audio",
  samples: "recordings",
  methods: [audioMae, audioVit],
  defaultMethod: audioMae.id,
  dataSchema: audioDataSchema,
  configure: configureAudio,
  open: openAudio,
  raw: { name: "mel statistics", features: melStatistics },
  writeReconstruction,
  createClassifier: createAudioClassifier,
  importModel: importAudioModel,
  exportModel: exportAudioModel,
};
