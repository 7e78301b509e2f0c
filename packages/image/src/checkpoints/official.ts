/**
 * Checkpoints in the layout of the official MAE code and of timm: state dicts whose names, shapes and layouts are those
 * of our own parameter trees. What a state dict does not say (the number of heads) is taken from the published sizes,
 * or from the caller.
 */
import { expect, type RawTensor, resolveConfig } from "@unmask/core";
import { type MaeConfig, mae } from "../methods/mae.js";
import { type VitConfig, vit } from "../methods/vit.js";

export type StateDict = ReadonlyMap<string, RawTensor>;

/** A model as files describe it: which method, its config, its parameters by path. */
export interface ImportedModel<C> {
  readonly config: C;
  readonly parameters: StateDict;
}

/** Keys of a config that a state dict leaves open. */
export type ConfigHints<C> = { readonly [K in keyof C]?: C[K] };

/** Whether a state dict is that of a pretraining model (with a decoder) or of a classifier. */
export function stateDictKind(state: StateDict): "mae" | "vit" {
  return state.has("decoder_embed.weight") ? "mae" : "vit";
}

/** An official pretraining checkpoint. An encoder without its decoder (`mae_pretrain_vit_base.pth`) is a classifier's: use `importVit`. */
export function importMae(state: StateDict, hints: ConfigHints<MaeConfig> = {}): ImportedModel<MaeConfig> {
  const { width, depth, ...input } = encoderShape("importMae", state, hints);
  const decoderWidth = axis("importMae", state, "decoder_embed.weight", 0);
  const config = resolveConfig(mae, {
    ...input,
    width,
    depth,
    heads: headsFor("importMae", "heads", width, hints.heads),
    mlpRatio: axis("importMae", state, "blocks.0.mlp.fc1.weight", 0) / width,
    decoderWidth,
    decoderDepth: blockCount(state, "decoder_blocks"),
    decoderHeads: headsFor("importMae", "decoderHeads", decoderWidth, hints.decoderHeads),
    decoderMlpRatio: axis("importMae", state, "decoder_blocks.0.mlp.fc1.weight", 0) / decoderWidth,
    qkvBias: state.has("blocks.0.attn.qkv.bias"),
    ...mutable(hints),
  });
  return { config, parameters: state };
}

/**
 * A classifier of the official fine-tuning code, of timm or of DeiT; or the encoder of a pretraining checkpoint, whose
 * head (and, with mean pooling, norm) is then missing from `parameters`: load it with `{ strict: false }`.
 */
export function importVit(state: StateDict, hints: ConfigHints<VitConfig> = {}): ImportedModel<VitConfig> {
  const { width, depth, ...input } = encoderShape("importVit", state, hints);
  const head = state.get("head.weight");
  const pool = hints.pool ?? (state.has("fc_norm.weight") || !state.has("norm.weight") ? "mean" : "cls");
  const config = resolveConfig(vit, {
    ...input,
    width,
    depth,
    pool,
    heads: headsFor("importVit", "heads", width, hints.heads),
    mlpRatio: axis("importVit", state, "blocks.0.mlp.fc1.weight", 0) / width,
    qkvBias: state.has("blocks.0.attn.qkv.bias"),
    ...(head && { classes: head.shape[0]! }),
    ...mutable(hints),
  });
  const encoder = [...state].filter(
    ([path]) =>
      !path.startsWith("decoder_") && path !== "mask_token" && !(pool === "mean" && path.startsWith("norm.")),
  );
  return { config, parameters: new Map(encoder) };
}

function encoderShape(
  name: string,
  state: StateDict,
  hints: { readonly imageSize?: readonly [number, number] },
) {
  const kernel = tensor(name, state, "patch_embed.proj.weight").shape; // [D, C, p, p]
  expect(
    kernel.length === 4,
    `${name}: patch_embed.proj.weight has shape [${kernel}], expected [D, C, height, width]`,
  );
  const [width, channels, height, across] = kernel as [number, number, number, number];
  const positions = axis(name, state, "pos_embed", 1) - 1;
  const side = Math.sqrt(positions);
  expect(
    hints.imageSize !== undefined || Number.isInteger(side),
    `${name}: ${positions} positions are no square grid; give imageSize as [height, width]`,
  );
  const imageSize = hints.imageSize ?? ([side * height, side * across] as const);
  return {
    width,
    channels,
    depth: blockCount(state, "blocks"),
    patchSize: [height, across] as [number, number],
    imageSize: [...imageSize] as [number, number],
  };
}

/** Heads of the published models by width; the decoder of every MAE has 16 heads of 32. */
function headsFor(name: string, key: string, width: number, hint: number | undefined): number {
  const published = new Map([
    [192, 3],
    [384, 6],
    [512, 16],
    [768, 12],
    [1024, 16],
    [1280, 16],
  ]);
  const heads = hint ?? published.get(width);
  expect(
    heads !== undefined,
    `${name}: a state dict does not hold the number of heads; give ${key} for width ${width}`,
  );
  return heads;
}

function blockCount(state: StateDict, prefix: string): number {
  const indices = [...state.keys()].flatMap((path) => {
    const match = path.match(`^${prefix}\\.(\\d+)\\.`);
    return match ? [Number(match[1])] : [];
  });
  return Math.max(-1, ...indices) + 1;
}

function tensor(name: string, state: StateDict, path: string): RawTensor {
  const raw = state.get(path);
  const some = [...state.keys()].slice(0, 4).join(", ");
  expect(
    raw !== undefined,
    `${name}: no ${path} among ${some}, ...; expected the layout of the official MAE code or timm`,
  );
  return raw;
}

function axis(name: string, state: StateDict, path: string, index: number): number {
  const size = tensor(name, state, path).shape[index];
  expect(size !== undefined, `${name}: ${path} has too few axes`);
  return size;
}

/** Hints are readonly, inputs of a schema are not. */
const mutable = <C extends object>(hints: C) =>
  structuredClone(hints) as { -readonly [K in keyof C]: Mutable<C[K]> };

type Mutable<T> = T extends readonly [infer A, infer B] ? [A, B] : T extends readonly (infer A)[] ? A[] : T;
