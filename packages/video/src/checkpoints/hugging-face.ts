/**
 * Hugging Face transformers' `videomae` directories (config.json, model.safetensors), in both directions. Queries, keys and
 * values are three matrices there and one packed matrix here; everything else is a matter of names. transformers 5 calls the
 * biases `query.bias` and `value.bias` in memory, all versions write `q_bias` and `v_bias`; both are read.
 */
import {
  expect,
  hiddenWidth,
  huggingFaceActivation,
  joinRows,
  type Keys,
  parseHuggingFaceConfig,
  type RawTensor,
  resolveConfig,
  splitRows,
  squareSide,
  toHuggingFaceActivation,
  toHuggingFaceClasses,
  UnmaskError,
} from "@unmask/core";
import { z } from "zod";
import { type VideoMaeConfig, videoMae } from "../methods/video-mae.js";
import { type VideoVitConfig, videoVit } from "../methods/video-vit.js";
import type { ImportedModel, StateDict } from "./official.js";

const positive = z.int().positive();
const size = z.union([positive, z.tuple([positive, positive])]);

const commonShape = {
  model_type: z.literal("videomae"),
  hidden_size: positive.default(768),
  num_hidden_layers: positive.default(12),
  num_attention_heads: positive.default(12),
  intermediate_size: positive.default(3072),
  hidden_act: huggingFaceActivation,
  layer_norm_eps: z.number().positive().default(1e-12),
  image_size: size.default(224),
  patch_size: size.default(16),
  num_channels: positive.default(3),
  num_frames: positive.default(16),
  tubelet_size: positive.default(2),
  qv_bias: z.boolean().default(true),
  use_mean_pooling: z.boolean().default(true),
};

const pretrainingSchema = z.looseObject({
  ...commonShape,
  decoder_num_attention_heads: positive.default(6),
  decoder_hidden_size: positive.default(384),
  decoder_num_hidden_layers: positive.default(4),
  decoder_intermediate_size: positive.default(1536),
  norm_pix_loss: z.boolean().default(true),
});

const classifierSchema = z.looseObject(commonShape);

/** Whether a config.json is that of transformers' VideoMAE. */
export const isHuggingFaceVideoMae = (config: unknown): boolean =>
  (config as { model_type?: unknown } | null | undefined)?.model_type === "videomae";

/** A `VideoMAEForPreTraining` directory. */
export function importHuggingFaceVideoMae(
  config: unknown,
  state: StateDict,
  hints: Keys = {},
): ImportedModel<VideoMaeConfig> {
  const theirs = parseHuggingFaceConfig("importHuggingFaceVideoMae", pretrainingSchema, config);
  const parameters = ourState(state, "video-mae");
  return {
    config: resolveConfig(videoMae, {
      ...commonConfig(theirs),
      finalNorm: parameters.has("encoder.norm.weight"),
      decoderWidth: theirs.decoder_hidden_size,
      decoderDepth: theirs.decoder_num_hidden_layers,
      decoderHeads: theirs.decoder_num_attention_heads,
      decoderMlpRatio: theirs.decoder_intermediate_size / theirs.decoder_hidden_size,
      normalisePixels: theirs.norm_pix_loss,
      ...hints,
    }),
    parameters,
  };
}

/** A `VideoMAEForVideoClassification` directory. */
export function importHuggingFaceVideoVit(
  config: unknown,
  state: StateDict,
  hints: Keys = {},
): ImportedModel<VideoVitConfig> {
  const theirs = parseHuggingFaceConfig("importHuggingFaceVideoVit", classifierSchema, config);
  const parameters = ourState(state, "video-vit");
  const classes = parameters.get("head.weight")?.shape[0];
  return {
    config: resolveConfig(videoVit, {
      ...commonConfig(theirs),
      pool: theirs.use_mean_pooling ? "mean" : "first",
      ...(classes !== undefined && { classes }),
      ...hints,
    }),
    parameters,
  };
}

/** The config.json of an autoencoder of ours, as transformers writes it. */
export function exportHuggingFaceVideoMaeConfig(config: VideoMaeConfig): Record<string, unknown> {
  return {
    architectures: ["VideoMAEForPreTraining"],
    ...theirCommon(config),
    use_mean_pooling: !config.finalNorm, // what decides there whether the encoder ends in a norm
    decoder_num_attention_heads: config.decoderHeads,
    decoder_hidden_size: config.decoderWidth,
    decoder_num_hidden_layers: config.decoderDepth,
    decoder_intermediate_size: hiddenWidth(config.decoderWidth, config.decoderMlpRatio),
    norm_pix_loss: config.normalisePixels,
  };
}

/** The config.json of a classifier of ours, as transformers writes it. */
export function exportHuggingFaceVideoVitConfig(
  config: VideoVitConfig,
  classes?: readonly string[],
): Record<string, unknown> {
  return {
    architectures: ["VideoMAEForVideoClassification"],
    ...theirCommon(config),
    use_mean_pooling: config.pool === "mean",
    ...toHuggingFaceClasses(config.classes, classes),
  };
}

/** Our parameters in transformers' names on disk, queries, keys and values apart. */
export function exportHuggingFaceVideoState(
  parameters: StateDict,
  kind: "video-mae" | "video-vit",
): Map<string, RawTensor> {
  const state = new Map<string, RawTensor>();
  for (const [path, raw] of parameters) {
    const packed = /^(.*)\.attn\.qkv\.weight$/.exec(path);
    if (packed === null) {
      state.set(theirName(path, kind), raw);
      continue;
    }
    const parts = splitRows(raw, 3);
    for (const [i, part] of ["query", "key", "value"].entries())
      state.set(`${theirName(packed[1]!, kind)}.attention.attention.${part}.weight`, parts[i]!);
  }
  return state;
}

const commonConfig = (config: z.infer<typeof classifierSchema>) => ({
  frames: config.num_frames,
  imageSize: config.image_size,
  tubeletSize: config.tubelet_size,
  patchSize: config.patch_size,
  channels: config.num_channels,
  width: config.hidden_size,
  depth: config.num_hidden_layers,
  heads: config.num_attention_heads,
  mlpRatio: config.intermediate_size / config.hidden_size,
  qkvBias: config.qv_bias,
  activation: config.hidden_act,
  epsilon: config.layer_norm_eps,
  headEpsilon: HEAD_EPSILON,
  // Targets are unnormalised there by ImageNet's statistics, which are our defaults, and only in colour.
  ...(config.num_channels !== 3 && { mean: [0], std: [1] }),
});

/** transformers leaves the norm before a head at PyTorch's default, whatever layer_norm_eps is. */
const HEAD_EPSILON = 1e-5;

function theirCommon(config: VideoMaeConfig | VideoVitConfig) {
  expect(
    config.layerScale === 0,
    "export: transformers' VideoMAE has no layer scale; export the official layout",
  );
  return {
    model_type: "videomae",
    image_size: squareSide("image_size", config.imageSize),
    patch_size: squareSide("patch_size", config.patchSize),
    num_channels: config.channels,
    num_frames: config.frames,
    tubelet_size: config.tubeletSize,
    hidden_size: config.width,
    num_hidden_layers: config.depth,
    num_attention_heads: config.heads,
    intermediate_size: hiddenWidth(config.width, config.mlpRatio),
    hidden_act: toHuggingFaceActivation(config.activation),
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
    initializer_range: 0.02,
    layer_norm_eps: config.epsilon,
    qv_bias: config.qkvBias,
    dtype: "float32",
  };
}

/** Ours and theirs inside a block. */
const blockNames: readonly (readonly [string, string])[] = [
  ["norm1.", "layernorm_before."],
  ["norm2.", "layernorm_after."],
  ["attn.q_bias", "attention.attention.q_bias"],
  ["attn.v_bias", "attention.attention.v_bias"],
  ["attn.proj.", "attention.output.dense."],
  ["mlp.fc1.", "intermediate.dense."],
  ["mlp.fc2.", "output.dense."],
];

/** Ours and theirs outside of blocks, by the beginning of the path. */
const outerNames: Readonly<Record<"video-mae" | "video-vit", readonly (readonly [string, string])[]>> = {
  "video-mae": [
    ["encoder.patch_embed.proj.", "videomae.embeddings.patch_embeddings.projection."],
    ["encoder.blocks.", "videomae.encoder.layer."],
    ["encoder.norm.", "videomae.layernorm."],
    ["decoder.blocks.", "decoder.decoder_layers."],
    ["decoder.norm.", "decoder.norm."],
    ["decoder.head.", "decoder.head."],
    ["encoder_to_decoder.", "encoder_to_decoder."],
    ["mask_token", "mask_token"],
  ],
  "video-vit": [
    ["patch_embed.proj.", "videomae.embeddings.patch_embeddings.projection."],
    ["blocks.", "videomae.encoder.layer."],
    ["norm.", "videomae.layernorm."],
    ["fc_norm.", "fc_norm."],
    ["head.", "classifier."],
  ],
};

function theirName(path: string, kind: "video-mae" | "video-vit"): string {
  const outer = outerNames[kind].find(([ours]) => path.startsWith(ours));
  expect(outer !== undefined, `export: ${path} has no place in a Hugging Face VideoMAE`);
  const renamed = outer[1] + path.slice(outer[0].length);
  const block = /^(.*\.\d+)\.(.*)$/.exec(renamed);
  const inner = block && blockNames.find(([ours]) => block[2]!.startsWith(ours));
  return block && inner ? `${block[1]}.${inner[1]}${block[2]!.slice(inner[0].length)}` : renamed;
}

/** Undefined where we have no such parameter. */
function ourName(name: string, kind: "video-mae" | "video-vit"): string | undefined {
  const outer = outerNames[kind].find(([, theirs]) => name.startsWith(theirs));
  if (outer === undefined) return undefined;
  const renamed = outer[0] + name.slice(outer[1].length);
  const block = /^(.*blocks\.\d+)\.(.*)$/.exec(renamed);
  const inner = block && blockNames.find(([, theirs]) => block[2]!.startsWith(theirs));
  return block && inner ? `${block[1]}.${inner[0]}${block[2]!.slice(inner[1].length)}` : renamed;
}

/** Their state dict in our names, each block's three projections packed into one. */
function ourState(state: StateDict, kind: "video-mae" | "video-vit"): Map<string, RawTensor> {
  const ours = new Map<string, RawTensor>();
  for (const [written, raw] of state) {
    if (/position_embeddings$/.test(written)) continue; // the fixed table, which some versions save
    const name = written.replace(/\.(query|value)\.bias$/, (_, part: string) => `.${part[0]}_bias`);
    const projection = /^(.*)\.attention\.attention\.(query|key|value)\.weight$/.exec(name);
    if (projection?.[2] === "query") {
      const prefix = projection[1]!;
      const parts = ["query", "key", "value"].map((part) => {
        const found = state.get(`${prefix}.attention.attention.${part}.weight`);
        expect(
          found !== undefined && found.dtype === raw.dtype && found.shape.join() === raw.shape.join(),
          `hugging face import: ${prefix}.attention.attention.${part}.weight is missing or unlike ${name}`,
        );
        return found;
      });
      const block = ourName(`${prefix}.`, kind);
      ours.set(`${block?.replace(/\.$/, "")}.attn.qkv.weight`, joinRows(parts));
    } else if (projection === null) {
      const path = ourName(name, kind);
      if (path === undefined) throw new UnmaskError(`hugging face import: ${written} is not known here`);
      ours.set(path, raw);
    }
  }
  return ours;
}
