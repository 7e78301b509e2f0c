/** A classifier of sound that begins with the encoder of another model. */
import * as tf from "@tensorflow/tfjs";
import {
  assign,
  bindModel,
  expect,
  flatten,
  interpolatePositions,
  type Keys,
  type Model,
  type Random,
  resolveConfig,
  tidy,
} from "@unmask/core";
import { audioGrid } from "../batch.js";
import type { AudioMaeConfig } from "../methods/audio-mae.js";
import { type AudioVitConfig, audioVit } from "../methods/audio-vit.js";

/** Keys of an encoder's config that its classifier has too. */
const SHARED =
  "inputSize channels sampleRate frameLength frameShift window lowFrequency highFrequency mean std patchSize width depth heads mlpRatio qkvBias epsilon".split(
    " ",
  );

/** Of AudioMAE's fine-tuning. */
const RECIPE = { dropPath: 0.1, timeDrop: 0.2, frequencyDrop: 0.2 };

/**
 * An `audio-vit` with the weights of a masked autoencoder's encoder, or of another `audio-vit`. The position table is
 * interpolated where `settings.inputSize` differs; the head is new where the number of classes differs.
 * @param settings keys of the classifier's config; `classes` is among them
 */
export function createAudioClassifier(model: Model, settings: Keys, random: Random): Model {
  const source = model.config as Readonly<Record<string, unknown>>;
  const known = model.method.id === audioVit.id ? Object.keys(source) : SHARED;
  const inherited = Object.fromEntries(known.map((key) => [key, source[key]]));
  const config = resolveConfig(audioVit, { ...RECIPE, ...inherited, ...settings } as Parameters<
    typeof resolveConfig<typeof audioVit>
  >[1]);
  const flat = flatten(model.params);
  expect(
    flat.has("patch_embed.proj.weight") && flat.has("pos_embed"),
    `finetune: ${model.method.id} has no encoder that a vision transformer could begin with`,
  );
  const params = tidy(() => audioVit.init(config, random));
  tf.tidy(() => {
    const values = new Map<string, tf.Tensor>();
    for (const [path, own] of flatten(params)) {
      const value = path === "pos_embed" ? positionsFor(config, model, flat.get(path)!) : flat.get(path);
      const newHead = path.startsWith("head.") && value?.shape[0] !== own.shape[0];
      if (value !== undefined && !newHead) values.set(path, value);
    }
    assign(params, values, { strict: false });
  });
  return bindModel(audioVit, config, params) as unknown as Model;
}

function positionsFor(config: AudioVitConfig, model: Model, table: tf.Tensor): tf.Tensor {
  const source = model.config as AudioMaeConfig;
  const [from, to] = [audioGrid("finetune", source), audioGrid("finetune", config)];
  if (from.every((count, axis) => count === to[axis])) return table;
  const swapped = source.positions === "reference"; // the table's rows then run over [bands, frames]
  const grid = ([times, frequencies]: [number, number]): [number, number] =>
    swapped ? [frequencies, times] : [times, frequencies];
  return interpolatePositions(table, grid(from), grid(to), { cls: 1 });
}
