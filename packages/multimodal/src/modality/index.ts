/** Several modalities together, for tools that know none. */
import { type ModalityPackage, UnmaskError } from "@unmask/core";
import { importBert, isBert } from "../checkpoints/bert.js";
import { importCroma, isCroma } from "../checkpoints/croma.js";
import { avMae } from "../methods/av-mae.js";
import { captionGuidedMae } from "../methods/caption-guided-mae.js";
import { croma } from "../methods/croma.js";
import { dualEncoder } from "../methods/dual-encoder.js";
import { hicmae } from "../methods/hicmae.js";
import { mavil } from "../methods/mavil.js";
import { mavilFeatures } from "../methods/mavil-features.js";
import { mindEye } from "../methods/mind-eye.js";
import { mindEyeLowLevel } from "../methods/mind-eye-low-level.js";
import { multiMae } from "../methods/multi-mae.js";
import { pairwiseContrastMethod } from "../methods/pairwise-contrast.js";
import { simvtp } from "../methods/simvtp.js";
import { smaug } from "../methods/smaug.js";
import { createSmaugAnswers, smaugAnswers } from "../methods/smaug-answers.js";
import { writeMultimodalPictures } from "../pictures/write-pictures.js";
import { configureAligned } from "./configure.js";
import { alignedDataSchema, openAligned, rawParts } from "./data.js";

export const modality: ModalityPackage = {
  name: "multimodal",
  samples: "aligned samples",
  methods: [
    avMae,
    mavil,
    mavilFeatures,
    pairwiseContrastMethod,
    hicmae,
    simvtp,
    smaug,
    smaugAnswers,
    dualEncoder,
    captionGuidedMae,
    croma,
    multiMae,
    mindEye,
    mindEyeLowLevel,
  ],
  defaultMethod: avMae.id,
  dataSchema: alignedDataSchema,
  configure: configureAligned,
  open: openAligned,
  raw: { name: "raw values", features: rawParts },
  writeReconstruction: writeMultimodalPictures,
  classifierFor: () => smaugAnswers,
  createClassifier: createSmaugAnswers,
  importModel({ parameters, json }, hints) {
    if (isCroma(parameters)) return importCroma(parameters, hints);
    if (isBert(parameters)) return importBert(parameters, hints, json?.["tokenizer.json"]);
    throw new UnmaskError("multimodal import: the files are neither CROMA's nor BERT's, the layouts known");
  },
};
