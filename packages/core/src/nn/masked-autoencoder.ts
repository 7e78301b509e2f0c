/**
 * The asymmetric masked autoencoder of MAE (He et al., CVPR 2022, https://arxiv.org/abs/2111.06377) on patches of anything
 * that is cut along two axes, under the reference's names: an encoder of the visible patches behind a class token, and a
 * light decoder that sees its output and one mask token at every hidden place. Position tables are frozen.
 */
import * as tf from "@tensorflow/tfjs";
import { type Mask, withClassToken } from "../masking/mask.js";
import type { Activation } from "../ops/gelu.js";
import { gatherAny } from "../ops/segment-sum.js";
import { restoreRows, takeRows } from "../ops/take-rows.js";
import type { Random } from "../random.js";
import { sinCos2d } from "../tokens/position.js";
import { buffer, parameter } from "../tree.js";
import { prependToken } from "./class-token.js";
import { normal } from "./init.js";
import { applyLayerNorm, initLayerNorm, type LayerNormParams } from "./layer-norm.js";
import { applyLinear, initLinear, type LinearParams } from "./linear.js";
import { applyPatchEmbed, initPatchEmbed, type PatchEmbedParams } from "./patch-embed.js";
import { applyTransformer, type BlockParams, initBlock, type TransformerOptions } from "./transformer.js";
import { hiddenWidth, type TransformerConfig, type TransformerDecoderConfig } from "./transformer-config.js";

export interface MaskedEncoderParams {
  /** [1, 1, D] */
  readonly cls_token: tf.Variable;
  /** [1, 1 + N, D], frozen; the row of the class token is zero. */
  readonly pos_embed: tf.Variable;
  readonly patch_embed: PatchEmbedParams;
  readonly blocks: readonly BlockParams[];
  readonly norm: LayerNormParams;
}

export interface MaskedDecoderParams<Blocks = readonly BlockParams[]> {
  /** [1, 1, decoder D] */
  readonly mask_token: tf.Variable;
  /** [1, 1 + N, decoder D], frozen. */
  readonly decoder_pos_embed: tf.Variable;
  readonly decoder_embed: LinearParams;
  readonly decoder_blocks: Blocks;
  readonly decoder_norm: LayerNormParams;
  readonly decoder_pred: LinearParams;
}

export type MaskedAutoencoderParams<Blocks = readonly BlockParams[]> = MaskedEncoderParams &
  MaskedDecoderParams<Blocks>;

export interface MaskedAutoencoderInit extends TransformerConfig, TransformerDecoderConfig {
  /** Rows and columns of patches, as the position table has them. */
  readonly grid: readonly [number, number];
  readonly patchSize: readonly [number, number];
  readonly channels: number;
}

type EncoderOptions = Pick<TransformerConfig, "heads" | "epsilon"> & { readonly activation?: Activation };
type DecoderOptions = Pick<TransformerDecoderConfig, "decoderHeads"> & Omit<EncoderOptions, "heads">;

/** @param decoderBlock makes a block of the decoder, if it is another than the encoder's */
export function initMaskedAutoencoder(random: Random, shape: MaskedAutoencoderInit): MaskedAutoencoderParams;
export function initMaskedAutoencoder<Block>(
  random: Random,
  shape: MaskedAutoencoderInit,
  decoderBlock: () => Block,
): MaskedAutoencoderParams<readonly Block[]>;
export function initMaskedAutoencoder(
  random: Random,
  { grid, patchSize, channels, qkvBias: biased, ...shape }: MaskedAutoencoderInit,
  decoderBlock?: () => unknown,
): MaskedAutoencoderParams<unknown> {
  const { width, decoderWidth } = shape;
  const qkvBias = biased ? "all" : "none";
  const block = { width, hidden: hiddenWidth(width, shape.mlpRatio), qkvBias } as const;
  const hidden = hiddenWidth(decoderWidth, shape.decoderMlpRatio);
  const decoder = decoderBlock ?? (() => initBlock(random, { width: decoderWidth, hidden, qkvBias }));
  const positions = (of: number) => buffer(sinCos2d(grid, of, { cls: true }).expandDims(0));
  return {
    cls_token: parameter(normal(0.02)([1, 1, width], random)),
    pos_embed: positions(width),
    mask_token: parameter(normal(0.02)([1, 1, decoderWidth], random)),
    decoder_pos_embed: positions(decoderWidth),
    patch_embed: initPatchEmbed(random, { patch: patchSize, channels, width }),
    blocks: Array.from({ length: shape.depth }, () => initBlock(random, block)),
    norm: initLayerNorm(width),
    decoder_embed: initLinear(random, width, decoderWidth),
    decoder_blocks: Array.from({ length: shape.decoderDepth }, decoder),
    decoder_norm: initLayerNorm(decoderWidth),
    decoder_pred: initLinear(random, decoderWidth, patchSize[0] * patchSize[1] * channels),
  };
}

/** Patches to tokens, each with its position: [B, K, P] and the places of the K patches, all in order by default -> [B, K, D]. */
export function embedPatches(
  params: Pick<MaskedEncoderParams, "patch_embed" | "pos_embed">,
  patches: tf.Tensor,
  places?: Int32Array,
): tf.Tensor3D {
  const tokens = applyPatchEmbed(params.patch_embed, patches);
  const [, length, width] = params.pos_embed.shape as [number, number, number];
  const table = params.pos_embed.slice([0, 1, 0], [1, length - 1, width]);
  if (places === undefined) return tf.add(tokens, table);
  return tf.add(tokens, gatherAny(table.reshape([length - 1, width]), places).reshape(tokens.shape));
}

/** Class token in front, all blocks, final norm: [B, K, D] -> [B, 1 + K, D] */
export function encodeTokens(
  params: MaskedEncoderParams,
  { heads, epsilon, activation }: EncoderOptions,
  tokens: tf.Tensor3D,
  onBlock?: TransformerOptions["onBlock"],
): tf.Tensor3D {
  const cls = tf.add(params.cls_token, params.pos_embed.slice([0, 0, 0], [1, 1, -1])); // its position is a row of zeros
  const options = { heads, epsilon, activation, onBlock };
  const encoded = applyTransformer(params.blocks, prependToken(cls, tokens), options);
  return applyLayerNorm(params.norm, encoded, epsilon) as tf.Tensor3D;
}

/** The encoder on visible patches only: all patches [B, N, P] -> [B, 1 + K, D], class token first. */
export function encodeVisible(
  params: MaskedEncoderParams,
  options: EncoderOptions,
  patches: tf.Tensor3D,
  mask: Mask,
  onBlock?: TransformerOptions["onBlock"],
): tf.Tensor3D {
  const tokens = embedPatches(params, takeRows(patches, mask.keep), mask.keep);
  return encodeTokens(params, options, tokens, onBlock);
}

/** What the decoder's blocks see: every token in its place with its position, [B, 1 + K, D] -> [B, 1 + N, decoder D] */
export function decoderInput(
  params: Pick<MaskedDecoderParams, "decoder_embed" | "mask_token" | "decoder_pos_embed">,
  latent: tf.Tensor,
  mask: Mask,
): tf.Tensor3D {
  const visible = applyLinear(params.decoder_embed, latent);
  const all = restoreRows(visible, params.mask_token, withClassToken(mask));
  return tf.add(all, params.decoder_pos_embed);
}

/** Predictions at every place: [B, 1 + K, D] -> [B, N, P] */
export function decodeAll(
  params: MaskedDecoderParams,
  options: DecoderOptions,
  latent: tf.Tensor,
  mask: Mask,
): tf.Tensor3D {
  return predictPatches(params, options, decodeTokens(params, options, latent, mask, "all"));
}

/** Predictions at the masked places, in the order of `mask.masked`: [B, 1 + K, D] -> [B, N - K, P] */
export function decodeMasked(
  params: MaskedDecoderParams,
  options: DecoderOptions,
  latent: tf.Tensor,
  mask: Mask,
): tf.Tensor3D {
  return predictPatches(params, options, decodeTokens(params, options, latent, mask, "masked"));
}

/** The decoder's blocks: [B, 1 + K, D] -> [B, N, decoder D], or [B, N - K, decoder D] in the order of `mask.masked`. */
export function decodeTokens(
  params: Omit<MaskedDecoderParams, "decoder_norm" | "decoder_pred">,
  { decoderHeads: heads, epsilon, activation }: DecoderOptions,
  latent: tf.Tensor,
  mask: Mask,
  places: "all" | "masked",
): tf.Tensor {
  const input = decoderInput(params, latent, mask);
  const afterClass = mask.masked.map((place) => place + 1);
  const wanted = (tokens: tf.Tensor) =>
    places === "all" ? tokens.slice([0, 1, 0]) : takeRows(tokens, afterClass);
  return applyTransformer(params.decoder_blocks, input, { heads, epsilon, activation, wanted });
}

/** The decoder's last norm and projection: [B, K, decoder D] -> [B, K, P] */
export function predictPatches(
  params: Pick<MaskedDecoderParams, "decoder_norm" | "decoder_pred">,
  { epsilon }: { readonly epsilon: number },
  tokens: tf.Tensor,
): tf.Tensor3D {
  const normed = applyLayerNorm(params.decoder_norm, tokens, epsilon);
  return applyLinear(params.decoder_pred, normed) as tf.Tensor3D;
}
