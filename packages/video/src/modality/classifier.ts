/** A video transformer for classification that begins with the encoder of another model. */
import * as tf from "@tensorflow/tfjs";
import {
  assign,
  bindModel,
  expect,
  flatten,
  type Keys,
  type Model,
  type Random,
  resolveConfig,
  tidy,
} from "@unmask/core";
import { type VideoVitConfig, videoVit } from "../methods/video-vit.js";

/** Keys of an encoder's config that its classifier has too. */
const SHARED = [
  ...["frames", "imageSize", "tubeletSize", "patchSize", "channels", "mean", "std"],
  ...["width", "depth", "heads", "mlpRatio", "qkvBias", "activation", "layerScale", "epsilon"],
];

/** Of VideoMAE's fine-tuning scripts. */
const RECIPE = { dropPath: 0.1, smoothing: 0.1 };

/**
 * A `video-vit` with the weights of a masked autoencoder's encoder, or of another `video-vit`. Positions are fixed tables,
 * so that frames and sizes may differ; the head is new where the number of classes differs. The encoder's final norm
 * becomes the norm of the pooled tokens, as in the reference's fine-tuning code.
 * @param settings keys of the classifier's config; `classes` is among them
 */
export function createVideoClassifier(model: Model, settings: Keys, random: Random): Model {
  const source = model.config as Readonly<Record<string, unknown>>;
  const known = model.method.id === videoVit.id ? Object.keys(source) : SHARED;
  const inherited = Object.fromEntries(known.filter((key) => key in source).map((key) => [key, source[key]]));
  const config: VideoVitConfig = resolveConfig(videoVit, {
    ...RECIPE,
    ...inherited,
    ...settings,
  } as Parameters<typeof resolveConfig<typeof videoVit>>[1]);
  const flat = new Map(
    [...flatten(model.params)].map(([path, value]) => [path.replace(/^(video\.)?encoder\./, ""), value]),
  );
  expect(
    flat.has("patch_embed.proj.weight"),
    `finetune: ${model.method.id} has no encoder that a video transformer could begin with`,
  );
  const params = tidy(() => videoVit.init(config, random));
  tf.tidy(() => {
    const values = new Map<string, tf.Tensor>();
    for (const [path, own] of flatten(params)) {
      const value = flat.get(path) ?? flat.get(path.replace(/^fc_norm\./, "norm."));
      const newHead = path.startsWith("head.") && value?.shape[0] !== own.shape[0];
      if (value !== undefined && !newHead) values.set(path, value);
    }
    assign(params, values, { strict: false });
  });
  return bindModel(videoVit, config, params) as unknown as Model;
}
