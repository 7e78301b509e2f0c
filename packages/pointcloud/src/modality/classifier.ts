/** A classifier that begins with the encoder of a pretrained model. */
import { type Classifier, expect, type Keys, type Model, type Random, transferModel } from "@unmask/core";
import { dgcnnClassifier } from "../methods/dgcnn-classifier.js";
import { mae3d } from "../methods/mae-3d.js";
import { pointCmae } from "../methods/point-cmae.js";
import { pointMae } from "../methods/point-mae.js";
import { pointPartSegmenter } from "../methods/point-part-segmenter.js";
import { pointTransformer } from "../methods/point-transformer.js";

/** Which classifier an encoder goes into, and by what path its parameters come. */
const TRANSFERS: Readonly<Record<string, { to: Classifier; path: (own: string) => string }>> = {
  [pointMae.id]: { to: pointTransformer, path: (own) => `MAE_encoder.${own}` },
  [pointCmae.id]: {
    to: pointTransformer,
    path: (own) => `MAE_encoder.${own.replace(/^(cls_token|cls_pos)$/, "$11")}`,
  },
  [mae3d.id]: { to: dgcnnClassifier, path: (own) => own },
  [pointTransformer.id]: { to: pointTransformer, path: (own) => own },
  [dgcnnClassifier.id]: { to: dgcnnClassifier, path: (own) => own },
};

/** The classifier that `createPointClassifier` makes of a model. */
export const classifierFor = (model: Model): Classifier => transferOf(model).to;

/**
 * A `point-transformer` of Point-MAE or Point-CMAE, a `dgcnn-classifier` of MAE3D; the head is new unless the model is a
 * classifier of as many classes.
 * @param settings keys of the classifier's config; `classes` is among them
 */
export function createPointClassifier(model: Model, settings: Keys, random: Random): Model {
  const { to, path } = transferOf(model);
  return transferModel(model, to, settings, random, path);
}

function transferOf({ method: { id } }: Model): { to: Classifier; path: (own: string) => string } {
  const transfer = TRANSFERS[id];
  expect(
    transfer !== undefined,
    `finetune: ${id} has no encoder that a classifier of point clouds could begin with`,
  );
  return transfer;
}

/**
 * A `point-part-segmenter` with the encoder of Point-MAE or Point-CMAE, or of a classifier made of them.
 * @param settings keys of the segmenter's config; `parts` and `classes` are among them
 */
export function createPartSegmenter(model: Model, settings: Keys, random: Random): Model {
  const transfer = TRANSFERS[model.method.id];
  expect(
    transfer?.to === pointTransformer,
    `createPartSegmenter: ${model.method.id} has no encoder of groups of points; give a point-mae or point-cmae model`,
  );
  return transferModel(model, pointPartSegmenter, settings, random, transfer.path);
}
