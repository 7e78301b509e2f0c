/** google-research/scenic, projects/av_mae: pretraining in all its arrangements. Flax layouts to ours and back. */
import * as tf from "@tensorflow/tfjs";
import {
  bindModel,
  createRandom,
  type Mask,
  maskFromOrders,
  type RawTensor,
  rawOf,
  resolveConfig,
  tensorOf,
  toInt32,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import { arrayTarget, scoredPlaces } from "../../src/array-decoder.js";
import type { ArrayBatch } from "../../src/array-encoder.js";
import { type AvMaeConfig, avMae, avMaePredict } from "../../src/methods/av-mae.js";
import { gradientsOf } from "./support.js";

const ENCODERS = {
  separate_encoders: "separate",
  same_encoder: "shared",
  concat_and_encode: "early",
  separate_encoders_and_concat: "mid",
} as const;
const DECODERS = {
  same_decoder: "shared",
  separate_decoders: "separate",
  concat_and_decode: "joint",
} as const;

/** Our stack of theirs: Transformer_rgb, Transformer_concat, Transformer, Decoder, Decoder_rgb. */
const stackPath = (name: string) => {
  const [kind, key = "all"] = name.split("_");
  return `${kind === "Decoder" ? "decoders" : "encoders"}.${key === "concat" ? "all" : key}`;
};

/** How one of our parameters is made of theirs, and theirs of ours. */
interface Link {
  readonly ours: string;
  readonly toOurs: (theirs: tf.Tensor) => tf.Tensor;
  /** Of our whole parameter. */
  readonly toTheirs: (ours: tf.Tensor) => tf.Tensor;
  /** Which third of a packed projection it is. */
  readonly third?: number;
}

const same = (x: tf.Tensor) => x;
const flip = (x: tf.Tensor) => tf.transpose(x);

function linkOf(name: string, shape: readonly number[]): Link {
  const direct = (ours: string): Link => ({ ours, toOurs: same, toTheirs: same });
  const dense = (ours: string, leaf: string): Link =>
    leaf === "kernel" ? { ours: `${ours}.weight`, toOurs: flip, toTheirs: flip } : direct(`${ours}.bias`);
  const [top = "", ...rest] = name.split(".");
  const leaf = rest.at(-1) ?? "";
  let found = /^(Encoder|Decoder)_modality_token_(.*)$/.exec(top);
  if (found) return direct(`${found[1] === "Encoder" ? "" : "decoder_"}modality_tokens.${found[2]}`);
  found = /^mask_token_(.*)$/.exec(top);
  if (found) return direct(`mask_tokens.${found[1]}`);
  found = /^decoder_projection_(.*)$/.exec(top);
  if (found) return dense(`decoder_embed.${found[1]}`, leaf);
  found = /^output_projection_(.*)$/.exec(top);
  if (found) return dense(`predict.${found[1]}`, leaf);
  found = /^embedding_(.*)$/.exec(top);
  if (found) {
    if (leaf === "bias") return direct(`embed.${found[1]}.proj.bias`);
    const axes = shape.map((_, axis) => axis); // [...patch, C, D] to [D, C, ...patch]
    const [channel, width] = axes.slice(-2) as [number, number];
    const spatial = axes.slice(0, -2);
    return {
      ours: `embed.${found[1]}.proj.weight`,
      toOurs: (x) => tf.transpose(x, [width, channel, ...spatial]),
      toTheirs: (x) => tf.transpose(x, [...spatial.map((axis) => axis + 2), 1, 0]),
    };
  }
  const stack = stackPath(top);
  const norm = (ours: string) => direct(`${ours}.${leaf === "scale" ? "weight" : "bias"}`);
  if (rest[0] === "encoder_norm") return norm(`${stack}.norm`);
  const block = `${stack}.blocks.${/\d+$/.exec(rest[0]!)![0]}`;
  const [, part = "", layer = ""] = rest;
  if (part.startsWith("LayerNorm")) return norm(`${block}.norm${Number(part.at(-1)) + 1}`);
  if (part.startsWith("Mlp")) return dense(`${block}.mlp.fc${Number(layer.at(-1)) + 1}`, leaf);
  if (layer === "out") {
    if (leaf === "bias") return direct(`${block}.attn.proj.bias`);
    const [heads, per, width] = shape as [number, number, number];
    return {
      ours: `${block}.attn.proj.weight`,
      toOurs: (x) => tf.transpose(x.reshape([heads * per, width])),
      toTheirs: (x) => tf.transpose(x).reshape([heads, per, width]),
    };
  }
  const third = ["query", "key", "value"].indexOf(layer);
  const width = shape.slice(-2).reduce((product, extent) => product * extent, 1);
  return leaf === "bias"
    ? {
        ours: `${block}.attn.qkv.bias`,
        third,
        toOurs: (x) => x.reshape([width]),
        toTheirs: (x) => x.slice([third * width], [width]).reshape([...shape]),
      }
    : {
        ours: `${block}.attn.qkv.weight`,
        third,
        toOurs: (x) => tf.transpose(x.reshape([shape[0]!, width])),
        toTheirs: (x) => tf.transpose(x.slice([third * width, 0], [width, -1])).reshape([...shape]),
      };
}

async function ourParameters(params: ReadonlyMap<string, RawTensor>): Promise<Map<string, RawTensor>> {
  const thirds = new Map<string, tf.Tensor[]>();
  for (const [name, raw] of params) {
    const { ours, toOurs, third } = linkOf(name, raw.shape);
    const parts = thirds.get(ours) ?? [];
    parts[third ?? 0] = toOurs(tensorOf(raw));
    thirds.set(ours, parts);
  }
  const own = new Map<string, RawTensor>();
  for (const [path, parts] of thirds)
    own.set(path, await rawOf(parts.length > 1 ? tf.concat(parts, 0) : parts[0]!));
  return own;
}

function configOf(theirs: Golden["config"], params: Golden["params"]): AvMaeConfig {
  const [height, width, frames] = theirs.patch_ph_pw_pt as [number, number, number];
  const dense = (prefix: RegExp) =>
    [...params].find(([name]) => prefix.test(name) && name.endsWith("MlpBlock_0.Dense_0.bias"))![1].shape[0]!;
  const values = { rgb: height * width * frames * 3, spectrogram: height * width };
  const weight = (name: "rgb" | "spectrogram") =>
    theirs.modality_weights[name] * (theirs.normalise_by_output_dimension ? 1 : values[name]);
  return resolveConfig(avMae, {
    modalities: {
      rgb: {
        size: theirs.video,
        patch: [frames, height, width],
        channels: 3,
        maskRatio: theirs.mask_rgb,
        weight: weight("rgb"),
      },
      spectrogram: {
        size: theirs.spectrogram,
        patch: [height, width],
        maskRatio: theirs.mask_spec,
        weight: weight("spectrogram"),
      },
    },
    encoder: ENCODERS[theirs.encoder_strategy as keyof typeof ENCODERS],
    decoder: DECODERS[theirs.decoder_strategy as keyof typeof DECODERS],
    inpainting: theirs.use_inpainting,
    modalityTokens: theirs.use_modality_tokens,
    width: theirs.hidden,
    depth: theirs.num_layers,
    fusionDepth: theirs.fusion_layers ?? 2,
    heads: theirs.heads,
    hidden: dense(/^Transformer/),
    decoderWidth: theirs.decoder_hidden,
    decoderDepth: theirs.decoder_layers,
    decoderHeads: theirs.decoder_heads,
    decoderHidden: dense(/^Decoder/),
    standardise: theirs.standardise_per_patch,
  }) as AvMaeConfig;
}

/** The name under which the reference's stacks are recorded; one that runs once for each modality counts its calls. */
function watching(outputs: Map<string, Values>, theirs: Golden["config"]) {
  const calls = new Map<string, number>();
  return (name: string, output: tf.Tensor) => {
    const [kind, key] = name.split(".") as [string, string];
    const joint =
      theirs.encoder_strategy === "separate_encoders_and_concat" ? "Transformer_concat" : "Transformer";
    const recorded = {
      encoders: key === "all" ? joint : `Transformer_${key}`,
      decoders: key === "all" ? "Decoder" : `Decoder_${key}`,
      decoder_embed: `decoder_projection_${key}`,
    }[kind]!;
    const call = calls.get(recorded) ?? 0;
    calls.set(recorded, call + 1);
    outputs.set(`inter.${recorded}.${call}`, output);
  };
}

async function run(golden: Golden): Promise<GoldenResult> {
  const { config: theirs, inputs, params: recorded } = golden;
  const config = configOf(theirs, recorded);
  const params = avMae.init(config, createRandom(0));
  writeParameters(params, await ourParameters(recorded));
  const names = ["rgb", "spectrogram"] as const;
  const each = <T>(make: (name: (typeof names)[number]) => T) =>
    Object.fromEntries(names.map((name) => [name, make(name)]));
  const maskOf = (name: string): Mask => {
    const [visible, hidden] = ["unmasked", "masked"].map((which) =>
      given(inputs, `${which}_idx_${name}`),
    ) as [RawTensor, RawTensor];
    const [batch, kept] = visible.shape as [number, number];
    const both = tf.concat(
      [tf.tensor2d(toInt32(visible), [batch, kept]), tf.tensor2d(toInt32(hidden), [batch, hidden.shape[1]!])],
      1,
    );
    return maskFromOrders(Int32Array.from(both.dataSync()), batch, kept);
  };
  const batch: ArrayBatch = {
    inputs: each((name) => tensorOf(given(inputs, name))),
    masks: each(maskOf),
    present: each((name) => new Float32Array(given(inputs, name).shape[0]!).fill(1)),
  };

  const outputs = new Map<string, Values>();
  const predictions = avMaePredict(params, config, batch, watching(outputs, theirs));
  const terms = bindModel(avMae, config, params).loss(batch) as unknown as Record<string, tf.Scalar>;
  outputs.set("total_loss", terms.total!);
  for (const name of names) {
    const target = arrayTarget(config.modalities[name]!, batch.inputs[name]!, config);
    const scale = theirs.normalise_by_output_dimension ? 1 : target.shape[2];
    outputs.set(`target_${name}`, target);
    outputs.set(`pred_${name}`, predictions[name]!);
    outputs.set(`mask_${name}`, scoredPlaces(batch, name, config));
    outputs.set(`loss_${name}`, tf.mul(terms[name]!, scale));
  }
  const ours = gradientsOf(params, () => avMae.loss(params, config, batch).total);
  const gradients = new Map<string, Values>();
  for (const [name, raw] of recorded) {
    const link = linkOf(name, raw.shape);
    gradients.set(name, link.toTheirs(ours.get(link.ours) as tf.Tensor));
  }
  return { outputs, gradients };
}

export const avMaePretraining: GoldenAdapter = { accepts: ({ method }) => method.startsWith("AV-MAE"), run };
