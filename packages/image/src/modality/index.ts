/** Images, for tools that know no modality. */
import type { ModalityPackage } from "@unmask/core";
import { bootMae } from "../methods/boot-mae.js";
import { byol } from "../methods/byol.js";
import { cmae } from "../methods/cmae.js";
import { convDae } from "../methods/conv-dae.js";
import { convMae } from "../methods/conv-mae.js";
import { convNet } from "../methods/conv-net.js";
import { convVit } from "../methods/conv-vit.js";
import { edgeMae } from "../methods/edge-mae.js";
import { gSimclr } from "../methods/g-simclr.js";
import { hybridDistillation } from "../methods/hybrid-distillation.js";
import { mae } from "../methods/mae.js";
import { mixedAe } from "../methods/mixed-ae.js";
import { moco } from "../methods/moco.js";
import { mrMae } from "../methods/mr-mae.js";
import { saim } from "../methods/saim.js";
import { selfCon } from "../methods/self-con.js";
import { simclr } from "../methods/simclr.js";
import { spark } from "../methods/spark.js";
import { supCon } from "../methods/sup-con.js";
import { swav } from "../methods/swav.js";
import { vit } from "../methods/vit.js";
import { gridImages, pictureGrid } from "../pictures/grid.js";
import { savePicture } from "../pictures/save-picture.js";
import { classifierFor, createImageClassifier } from "./classifier.js";
import { configureImages } from "./configure.js";
import { imageDataSchema, openImages, rawPixels } from "./data.js";
import { exportImageModel, importImageModel } from "./foreign.js";

export const modality: ModalityPackage = {
  name: "image",
  samples: "images",
  methods: [
    mae,
    bootMae,
    cmae,
    saim,
    mixedAe,
    spark,
    convMae,
    edgeMae,
    simclr,
    gSimclr,
    convDae,
    supCon,
    selfCon,
    moco,
    byol,
    swav,
    mrMae,
    hybridDistillation,
    convNet,
    convVit,
    vit,
  ],
  defaultMethod: mae.id,
  dataSchema: imageDataSchema,
  configure: configureImages,
  open: openImages,
  raw: { name: "raw pixels", features: rawPixels },
  async writeReconstruction(reconstruction, path) {
    const file = `${path}.png`;
    await savePicture(file, pictureGrid(await gridImages(reconstruction)));
    return [file];
  },
  classifierFor,
  createClassifier: createImageClassifier,
  importModel: importImageModel,
  exportModel: exportImageModel,
};
