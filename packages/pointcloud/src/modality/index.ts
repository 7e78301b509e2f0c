/** Point clouds, for tools that know no modality. */
import type { ModalityPackage } from "@unmask/core";
import { dgcnnClassifier } from "../methods/dgcnn-classifier.js";
import { mae3d } from "../methods/mae-3d.js";
import { pointCmae } from "../methods/point-cmae.js";
import { pointMae } from "../methods/point-mae.js";
import { pointTransformer } from "../methods/point-transformer.js";
import { writePointPictures } from "../pictures/write-pictures.js";
import { classifierFor, createPointClassifier } from "./classifier.js";
import { configurePoints } from "./configure.js";
import { openPoints, pointDataSchema, sortedCoordinates } from "./data.js";

export const modality: ModalityPackage = {
  name: "pointcloud",
  samples: "point clouds",
  methods: [pointMae, pointCmae, mae3d, pointTransformer, dgcnnClassifier],
  defaultMethod: pointMae.id,
  dataSchema: pointDataSchema,
  configure: configurePoints,
  open: openPoints,
  raw: { name: "raw coordinates", features: sortedCoordinates },
  writeReconstruction: writePointPictures,
  classifierFor,
  createClassifier: createPointClassifier,
};
