/**
 * Checkpoints in the layout of the official VideoMAE code: state dicts whose names, shapes and layouts are those of our own
 * parameter trees. What a state dict does not say (heads, frames, size) is taken from the published models or the caller.
 */
import { expect, type Keys, type RawTensor, resolveConfig } from "@unmask/core";
import { type VideoMaeConfig, videoMae } from "../methods/video-mae.js";
import { type VideoVitConfig, videoVit } from "../methods/video-vit.js";

export type StateDict = ReadonlyMap<string, RawTensor>;

/** A model as files describe it: its config, its parameters by path. */
export interface ImportedModel<C> {
  readonly config: C;
  readonly parameters: StateDict;
}

/** Whether a state dict is that of a pretraining model (with a decoder) or of a classifier. */
export function stateDictKind(state: StateDict): "video-mae" | "video-vit" {
  return state.has("encoder_to_decoder.weight") ? "video-mae" : "video-vit";
}

/** An official pretraining checkpoint. */
export function importVideoMae(state: StateDict, hints: Keys = {}): ImportedModel<VideoMaeConfig> {
  const name = "importVideoMae";
  const decoderWidth = axis(name, state, "encoder_to_decoder.weight", 0);
  const encoder = encoderOf(name, state, "encoder.", hints);
  return {
    config: resolveConfig(videoMae, {
      ...encoder,
      finalNorm: state.has("encoder.norm.weight"),
      decoderWidth,
      decoderDepth: blockCount(state, "decoder.blocks"),
      decoderHeads: headsFor(name, "decoderHeads", decoderWidth, hints.decoderHeads),
      decoderMlpRatio: axis(name, state, "decoder.blocks.0.mlp.fc1.weight", 0) / decoderWidth,
      ...hints,
    }),
    parameters: state,
  };
}

/**
 * A classifier of the official fine-tuning code; or the encoder of a pretraining checkpoint alone, whose head and norm
 * are then missing from `parameters`.
 */
export function importVideoVit(state: StateDict, hints: Keys = {}): ImportedModel<VideoVitConfig> {
  const head = state.get("head.weight");
  const config = resolveConfig(videoVit, {
    ...encoderOf("importVideoVit", state, "", hints),
    pool: state.has("norm.weight") && !state.has("fc_norm.weight") ? "first" : "mean",
    ...(head && { classes: head.shape[0]! }),
    ...hints,
  });
  return { config, parameters: state };
}

function encoderOf(name: string, state: StateDict, prefix: string, hints: Keys) {
  const kernel = tensor(name, state, `${prefix}patch_embed.proj.weight`).shape; // [D, C, t, p, p]
  expect(
    kernel.length === 5,
    `${name}: ${prefix}patch_embed.proj.weight has shape [${kernel}], expected [D, C, frames, height, width]`,
  );
  const [width, channels, tubeletSize, ...patchSize] = kernel as [number, number, number, number, number];
  const gamma = state.get(`${prefix}blocks.0.gamma_1`);
  return {
    ...{ width, channels, tubeletSize, patchSize: patchSize as [number, number] },
    depth: blockCount(state, `${prefix}blocks`),
    heads: headsFor(name, "heads", width, hints.heads),
    mlpRatio: axis(name, state, `${prefix}blocks.0.mlp.fc1.weight`, 0) / width,
    qkvBias: state.has(`${prefix}blocks.0.attn.q_bias`),
    ...(gamma && { layerScale: 0.1 }), // only the presence of the factors matters to a model that is loaded
  };
}

/** Heads of the published models by width, encoders' and decoders'. */
const PUBLISHED_HEADS: ReadonlyMap<string, number> = new Map([
  ["heads 192", 3],
  ["heads 384", 6],
  ["heads 768", 12],
  ["heads 1024", 16],
  ["heads 1280", 16],
  ["decoderHeads 96", 3],
  ["decoderHeads 192", 3],
  ["decoderHeads 384", 6],
  ["decoderHeads 512", 8],
  ["decoderHeads 640", 8],
]);

function headsFor(name: string, key: string, width: number, hint: unknown): number {
  const heads = typeof hint === "number" ? hint : PUBLISHED_HEADS.get(`${key} ${width}`);
  expect(
    heads !== undefined,
    `${name}: a state dict does not hold the number of heads; give ${key} for width ${width}`,
  );
  return heads;
}

function blockCount(state: StateDict, prefix: string): number {
  const pattern = new RegExp(`^${prefix.replaceAll(".", "\\.")}\\.(\\d+)\\.`);
  const indices = [...state.keys()].flatMap((path) => Number(pattern.exec(path)?.[1] ?? -1));
  return Math.max(-1, ...indices) + 1;
}

function tensor(name: string, state: StateDict, path: string): RawTensor {
  const raw = state.get(path);
  const some = [...state.keys()].slice(0, 4).join(", ");
  expect(
    raw !== undefined,
    `${name}: no ${path} among ${some}, ...; expected the layout of the official VideoMAE code`,
  );
  return raw;
}

function axis(name: string, state: StateDict, path: string, index: number): number {
  const size = tensor(name, state, path).shape[index];
  expect(size !== undefined, `${name}: ${path} has too few axes`);
  return size;
}
