/**
 * Checkpoints in the layout of the official AudioMAE code: state dicts whose names, shapes and layouts are those of our own
 * parameter trees. What a state dict does not say (heads, the grid, the scale) is taken from the published models, or from
 * the caller.
 */
import { expect, type Keys, type RawTensor, resolveConfig } from "@unmask/core";
import { type AudioMaeConfig, audioMae } from "../methods/audio-mae.js";
import { type AudioVitConfig, audioVit } from "../methods/audio-vit.js";

export type StateDict = ReadonlyMap<string, RawTensor>;

export interface ImportedAudio<C> {
  readonly config: C;
  readonly parameters: StateDict;
}

/** Tables that the reference computes anew and some of its files hold all the same. */
const COMPUTED = /\.(relative_coordinates_log|attn_mask)$/;

/** Whether a state dict is that of a pretraining model (with a decoder) or of a classifier. */
export function audioStateDictKind(state: StateDict): "audio-mae" | "audio-vit" {
  return state.has("decoder_embed.weight") ? "audio-mae" : "audio-vit";
}

/**
 * An official pretraining checkpoint, with either decoder.
 * @param hints keys of our config that the files leave open or that shall differ
 */
export function importAudioMae(state: StateDict, hints: Keys = {}): ImportedAudio<AudioMaeConfig> {
  const name = "importAudioMae";
  const encoder = encoderShape(name, state, hints);
  const decoderWidth = axis(name, state, "decoder_embed.weight", 0);
  const tau = state.get("decoder_blocks.0.attn.tau");
  const config = resolveConfig(audioMae, {
    ...encoder,
    decoder: tau === undefined ? "global" : "local",
    decoderWidth,
    decoderDepth: blockCount(state, "decoder_blocks"),
    decoderHeads: tau?.shape[0] ?? headsFor(name, "decoderHeads", decoderWidth, hints.decoderHeads),
    ...hints,
  });
  return { config, parameters: new Map([...state].filter(([path]) => !COMPUTED.test(path))) };
}

/**
 * A classifier of the official fine-tuning code; or the encoder of a pretraining checkpoint, whose head and last norm are
 * then missing from `parameters`: load it with `{ strict: false }`.
 */
export function importAudioVit(state: StateDict, hints: Keys = {}): ImportedAudio<AudioVitConfig> {
  const head = state.get("head.weight");
  const config = resolveConfig(audioVit, {
    ...encoderShape("importAudioVit", state, hints),
    ...(head && { classes: head.shape[0]! }),
    ...hints,
  });
  const own = [...state].filter(([path]) => !/^(decoder_|mask_token$|norm\.)/.test(path));
  return { config, parameters: new Map(own) };
}

function encoderShape(name: string, state: StateDict, hints: Keys) {
  const kernel = tensor(name, state, "patch_embed.proj.weight").shape; // [D, C, p, p]
  expect(
    kernel.length === 4,
    `${name}: patch_embed.proj.weight has shape [${kernel}], expected [D, C, frames, bands]`,
  );
  const [width, channels, frames, bands] = kernel as [number, number, number, number];
  const positions = axis(name, state, "pos_embed", 1) - 1;
  const rows = BANDS / bands;
  expect(
    hints.inputSize !== undefined || (Number.isInteger(rows) && positions % rows === 0),
    `${name}: ${positions} positions of ${frames}x${bands} patches do not fill ${BANDS} bands; give inputSize as [frames, bands]`,
  );
  const inputSize: [number, number] = [(positions / rows) * frames, BANDS];
  return {
    ...(hints.inputSize === undefined && { inputSize }),
    channels,
    patchSize: [frames, bands] as [number, number],
    width,
    depth: blockCount(state, "blocks"),
    heads: headsFor(name, "heads", width, hints.heads),
    mlpRatio: axis(name, state, "blocks.0.mlp.fc1.weight", 0) / width,
    qkvBias: state.has("blocks.0.attn.qkv.bias"),
  };
}

/** Mel bands of every published model. */
const BANDS = 128;

/** Heads of the published models by width. */
const HEADS = new Map([
  [192, 3],
  [384, 6],
  [512, 16],
  [768, 12],
  [1024, 16],
]);

function headsFor(name: string, key: string, width: number, hint: unknown): number {
  const heads = (hint as number | undefined) ?? HEADS.get(width);
  expect(
    heads !== undefined,
    `${name}: a state dict does not hold the number of heads; give ${key} for width ${width}`,
  );
  return heads;
}

function blockCount(state: StateDict, prefix: string): number {
  const indices = [...state.keys()].flatMap((path) => path.match(`^${prefix}\\.(\\d+)\\.`)?.[1] ?? []);
  return Math.max(-1, ...indices.map(Number)) + 1;
}

function tensor(name: string, state: StateDict, path: string): RawTensor {
  const raw = state.get(path);
  const some = [...state.keys()].slice(0, 4).join(", ");
  expect(
    raw !== undefined,
    `${name}: no ${path} among ${some}, ...; expected the layout of the official AudioMAE code`,
  );
  return raw;
}

function axis(name: string, state: StateDict, path: string, index: number): number {
  const size = tensor(name, state, path).shape[index];
  expect(size !== undefined, `${name}: ${path} has too few axes`);
  return size;
}
