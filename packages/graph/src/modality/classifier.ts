/** A classifier that begins with the encoder of a pretrained model. */
import { type Classifier, expect, type Keys, type Model, type Random, transferModel } from "@unmask/core";
import { gnn } from "../methods/gnn.js";
import { graphMae } from "../methods/graph-mae.js";

/** The classifier that `createGraphClassifier` makes of a model. */
export function classifierFor({ method: { id } }: Model): Classifier {
  expect(
    id === graphMae.id || id === gnn.id,
    `finetune: ${id} has no encoder that a classifier of nodes or graphs could begin with; give a graph-mae model`,
  );
  return gnn;
}

/**
 * A `gnn` with the encoder of GraphMAE, or of another `gnn`; the head is new unless it has as many classes.
 * @param settings keys of the classifier's config; `classes` is among them
 */
export const createGraphClassifier = (model: Model, settings: Keys, random: Random): Model =>
  transferModel(model, classifierFor(model), settings, random);
