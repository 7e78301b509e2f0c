/** Classifiers that begin with the encoder of another model. */
import * as tf from "@tensorflow/tfjs";
import {
  assign,
  bindModel,
  expect,
  flatten,
  interpolatePositions,
  type Keys,
  type Model,
  patchGrid,
  type Random,
  resolveConfig,
  tidy,
} from "@unmask/core";
import { convNet } from "../methods/conv-net.js";
import { convVit } from "../methods/conv-vit.js";
import { type VitConfig, vit } from "../methods/vit.js";
import { resnetSizes } from "../nn/resnet.js";
import { vitState } from "./encoder-state.js";

type ImageClassifier = typeof convNet | typeof convVit | typeof vit;

/** The classifier that `createImageClassifier` makes of a model. */
export function classifierFor(model: Model): ImageClassifier {
  if ("blocks3" in model.params) return convVit;
  return convolutions(model) === undefined ? vit : convNet;
}

/**
 * A classifier with the weights of a model's encoder: `conv-net` of a ResNet or ConvNeXt, `conv-vit` of ConvMAE's encoder,
 * `vit` of a plain transformer.
 */
export function createImageClassifier(model: Model, settings: Keys, random: Random): Model {
  switch (classifierFor(model)) {
    case convNet:
      return createConvClassifier(model, settings, random);
    case convVit:
      return createConvVitClassifier(model, settings, random);
    default:
      return createVitClassifier(model, settings, random);
  }
}

/** A model's convolutional encoder as it stands in its tree: SparK's in a place of its own, others' at the top. */
function convolutions({ params }: Model): object | undefined {
  const { sparse_encoder: sparse } = params as { readonly sparse_encoder?: { readonly sp_cnn: object } };
  if (sparse !== undefined) return sparse.sp_cnn;
  return "layer1" in params || "stages" in params ? params : undefined;
}

/** Keys of a convolutional encoder's config that its classifier has too. */
const CONVOLUTIONAL = [
  ...["imageSize", "channels", "mean", "std"],
  ...["network", "width", "blocks", "bottleneck", "stem", "stemPatch", "layerScale"],
];

/**
 * A `conv-net` with the weights of a SparK or contrastive encoder, or of another `conv-net`. The head is new where the
 * number of classes differs.
 * @param settings keys of the classifier's config; `classes` is among them
 */
function createConvClassifier(model: Model, settings: Keys, random: Random): Model {
  const source = model.config as Keys;
  const known = model.method.id === convNet.id ? Object.keys(source) : CONVOLUTIONAL;
  const inherited = pick({ ...source, ...backboneKeys(source) }, known);
  const config = resolveConfig(convNet, { ...RECIPE, ...inherited, ...settings } as object);
  const params = tidy(() => convNet.init(config, random));
  const flat = flatten(convolutions(model)!);
  const values = new Map<string, tf.Tensor>();
  for (const [path, own] of flatten(params)) {
    const value = flat.get(path);
    const newHead = /^(head\.)?fc\./.test(path) && value?.shape[0] !== own.shape[0];
    if (value !== undefined && !newHead) values.set(path, value);
  }
  assign(params, values, { strict: false });
  return bindModel(convNet, config, params) as unknown as Model;
}

/** The encoder of a contrastive method's config in the keys of `conv-net`. */
function backboneKeys({ backbone, stemWidth }: Keys): Keys {
  const size = resnetSizes[backbone as keyof typeof resnetSizes] as Keys | undefined;
  return size === undefined ? {} : { network: "resnet", ...size, width: stemWidth };
}

const pick = (source: Keys, keys: readonly string[]): Keys =>
  Object.fromEntries(keys.flatMap((key) => (source[key] === undefined ? [] : [[key, source[key]]])));

/** Keys of an encoder's config that its classifier has too. */
const SHARED = [
  "imageSize",
  "patchSize",
  "channels",
  "mean",
  "std",
  "width",
  "depth",
  "heads",
  "mlpRatio",
  "qkvBias",
  "activation",
  "epsilon",
];

/** Of MAE's fine-tuning (He et al., CVPR 2022, appendix A.1). */
const RECIPE = { dropPath: 0.1, smoothing: 0.1 };

/**
 * A `vit` with the weights of a masked autoencoder's encoder, or of another `vit`. The position table is interpolated
 * where `settings.imageSize` differs; the head is new where the number of classes differs.
 * @param settings keys of the classifier's config; `classes` is among them
 */
export function createVitClassifier(model: Model, settings: Keys, random: Random): Model {
  const source = model.config as Readonly<Record<string, unknown>>;
  const known = model.method.id === vit.id ? Object.keys(source) : SHARED;
  const inherited = Object.fromEntries(known.map((key) => [key, source[key]]));
  const config = resolveConfig(vit, { ...RECIPE, ...inherited, ...settings } as Parameters<
    typeof resolveConfig<typeof vit>
  >[1]);
  const params = tidy(() => vit.init(config, random));
  tf.tidy(() => {
    const flat = vitState(flatten(model.params));
    expect(
      flat.has("patch_embed.proj.weight") && flat.has("pos_embed"),
      `finetune: ${model.method.id} has no encoder that a vision transformer could begin with`,
    );
    const values = new Map<string, tf.Tensor>();
    for (const [path, own] of flatten(params)) {
      const value = path === "pos_embed" ? positionsFor(config, source, flat.get(path)!, 1) : flat.get(path);
      const newHead = path.startsWith("head.") && value?.shape[0] !== own.shape[0];
      if (value !== undefined && !newHead) values.set(path, value);
    }
    assign(params, values, { strict: false });
  });
  return bindModel(vit, config, params) as unknown as Model;
}

/** Keys of ConvMAE's stages of convolutions. */
const STAGES = ["stageWidths", "stageDepths", "stageMlpRatios"];

/**
 * A `conv-vit` with the weights of ConvMAE's encoder, or of another `conv-vit`. The position table is interpolated where
 * `settings.imageSize` differs; the head is new where the number of classes differs.
 * @param settings keys of the classifier's config; `classes` is among them
 */
function createConvVitClassifier(model: Model, settings: Keys, random: Random): Model {
  const source = model.config as Keys;
  const known = model.method.id === convVit.id ? Object.keys(source) : [...SHARED, ...STAGES];
  const config = resolveConfig(convVit, { ...RECIPE, ...pick(source, known), ...settings } as object);
  const params = tidy(() => convVit.init(config, random));
  tf.tidy(() => {
    const values = new Map<string, tf.Tensor>(flatten(model.params));
    for (const [path, own] of flatten(params)) {
      const value = values.get(path);
      if (path === "pos_embed") values.set(path, positionsFor(config, source, value!, 0));
      else if (path.startsWith("head.") && value?.shape[0] !== own.shape[0]) values.delete(path);
    }
    const wanted = [...flatten(params).keys()].filter((path) => values.has(path));
    assign(params, new Map(wanted.map((path) => [path, values.get(path)!])), { strict: false });
  });
  return bindModel(convVit, config, params) as unknown as Model;
}

/** @param cls rows of the table that stand for no patch */
function positionsFor(
  config: Pick<VitConfig, "imageSize" | "patchSize">,
  source: Keys,
  table: tf.Tensor,
  cls: number,
): tf.Tensor {
  const { imageSize, patchSize } = source as unknown as VitConfig;
  const [from, to] = [patchGrid(imageSize, patchSize), patchGrid(config.imageSize, config.patchSize)];
  if (from.every((count, axis) => count === to[axis])) return table;
  return interpolatePositions(table as tf.Tensor3D, from as [number, number], to as [number, number], {
    cls,
  });
}
