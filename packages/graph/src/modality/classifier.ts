/** A classifier that begins with the encoder of a pretrained model. */
import { type Classifier, expect, type Keys, type Model, type Random, transferModel } from "@unmask/core";
import { gnn } from "../methods/gnn.js";
import { graphMae } from "../methods/graph-mae.js";
import { skeletonClassifier } from "../methods/skeleton-classifier.js";
import { skeletonMae } from "../methods/skeleton-mae.js";

const CLASSIFIERS: Readonly<Record<string, Classifier>> = {
  [graphMae.id]: gnn,
  [gnn.id]: gnn,
  [skeletonMae.id]: skeletonClassifier,
  [skeletonClassifier.id]: skeletonClassifier,
};

/** The classifier that `createGraphClassifier` makes of a model. */
export function classifierFor({ method: { id } }: Model): Classifier {
  const classifier = CLASSIFIERS[id];
  expect(
    classifier !== undefined,
    `finetune: ${id} has no encoder that a classifier could begin with; give a graph-mae or skeleton-mae model`,
  );
  return classifier;
}

/**
 * A `gnn` with the encoder of GraphMAE, a `skeleton-classifier` with that of SkeletonMAE, or one of these again; the head is
 * new unless it has as many classes.
 * @param settings keys of the classifier's config; `classes` is among them
 */
export const createGraphClassifier = (model: Model, settings: Keys, random: Random): Model =>
  transferModel(model, classifierFor(model), settings, random);
