/**
 * The network of HiCMAE (see methods/hicmae.ts): an encoder for each of two streams, blocks in which they see each other, and
 * decoders that look back at their encoder's halfway features.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyBlock,
  applyLayerNorm,
  applyLinear,
  applyMlp,
  applySelfAttention,
  attention,
  type BlockParams,
  expect,
  hiddenWidth,
  initBlock,
  initLayerNorm,
  initLinear,
  initPatchEmbed,
  type LayerNormParams,
  type LinearParams,
  linear,
  type Mask,
  type PatchEmbedParams,
  parameter,
  type Random,
  truncatedNormal,
  uniform,
} from "@unmask/core";
import { decoderInput, downPlaced, embedPlaced } from "./clips.js";

export interface HicmaeNetworkConfig {
  readonly video: {
    readonly size: readonly [number, number, number];
    readonly patch: readonly [number, number, number];
  };
  readonly audio: { readonly size: readonly [number, number]; readonly patch: readonly [number, number] };
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly fusionDepth: number;
  readonly fusionHeads: number;
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly mlpRatio: number;
  readonly qkvBias: boolean;
  readonly epsilon: number;
  readonly halfway: readonly number[];
}

/** Cross-attention before the self-attention of a plain block. */
interface CrossBlockParams extends BlockParams {
  /** Of the tokens. */
  readonly cross_norm1: LayerNormParams;
  /** Of what they look at. */
  readonly cross_norm2: LayerNormParams;
  readonly cross_attn: {
    readonly q: LinearParams;
    /** [2D, D]: keys, values */
    readonly kv: LinearParams;
    readonly q_bias?: tf.Variable;
    readonly v_bias?: tf.Variable;
    readonly proj: LinearParams;
  };
}

interface EncoderParams {
  readonly patch_embed: PatchEmbedParams;
  readonly blocks: readonly BlockParams[];
  readonly norm: LayerNormParams;
}

interface DecoderParams {
  /** The first plain, the others with cross-attention. */
  readonly blocks: readonly (BlockParams | CrossBlockParams)[];
  readonly norm: LayerNormParams;
  readonly head: LinearParams;
}

export interface HicmaeNetworkParams {
  readonly encoder: EncoderParams;
  readonly encoder_audio: EncoderParams;
  readonly encoder_fusion: {
    readonly blocks: readonly CrossBlockParams[];
    readonly blocks_audio: readonly CrossBlockParams[];
    readonly norm: LayerNormParams;
    readonly norm_audio: LayerNormParams;
  };
  readonly encoder_to_decoder: LinearParams;
  readonly encoder_to_decoder_audio: LinearParams;
  /** [1, 1, decoder D] */
  readonly mask_token: tf.Variable;
  readonly mask_token_audio: tf.Variable;
  readonly decoder: DecoderParams;
  readonly decoder_audio: DecoderParams;
}

export function initHicmaeNetwork(config: HicmaeNetworkConfig, random: Random): HicmaeNetworkParams {
  const { width, depth, fusionDepth, decoderWidth, decoderDepth, halfway, video, audio } = config;
  expect(
    halfway.length === decoderDepth - 1 && halfway.every((block) => block < depth),
    () =>
      `hicmae: halfway [${halfway}] must name decoderDepth - 1 = ${decoderDepth - 1} of the blocks 0 to ${depth - 1}`,
  );
  const encoder = (patch: readonly number[], channels: number): EncoderParams => {
    const values = patch.reduce((a, b) => a * b, channels);
    return {
      patch_embed: initPatchEmbed(random, { patch, channels, width, init: uniform(1 / Math.sqrt(values)) }),
      blocks: Array.from({ length: depth }, () => plainBlock(config, width, random)),
      norm: initLayerNorm(width),
    };
  };
  const decoder = (values: number): DecoderParams => ({
    blocks: Array.from({ length: decoderDepth }, (_, i) =>
      i === 0 ? plainBlock(config, decoderWidth, random) : crossBlock(config, decoderWidth, random),
    ),
    norm: initLayerNorm(decoderWidth),
    head: initLinear(random, decoderWidth, values),
  });
  const fusion = () => Array.from({ length: fusionDepth }, () => crossBlock(config, width, random));
  const token = () => parameter(truncatedNormal(0.02, 0.02)([1, 1, decoderWidth], random));
  return {
    encoder: encoder(video.patch, 3),
    encoder_audio: encoder(audio.patch, 1),
    encoder_fusion: {
      blocks: fusion(),
      blocks_audio: fusion(),
      norm: initLayerNorm(width),
      norm_audio: initLayerNorm(width),
    },
    encoder_to_decoder: initLinear(random, width, decoderWidth, { bias: false }),
    encoder_to_decoder_audio: initLinear(random, width, decoderWidth, { bias: false }),
    mask_token: token(),
    mask_token_audio: token(),
    decoder: decoder(video.patch.reduce((a, b) => a * b, 3)),
    decoder_audio: decoder(audio.patch[0] * audio.patch[1]),
  };
}

function plainBlock({ mlpRatio, qkvBias }: HicmaeNetworkConfig, width: number, random: Random): BlockParams {
  const hidden = hiddenWidth(width, mlpRatio);
  return initBlock(random, { width, hidden, qkvBias: qkvBias ? "query-value" : "none" });
}

function crossBlock(config: HicmaeNetworkConfig, width: number, random: Random): CrossBlockParams {
  const zeros = () => parameter(tf.zeros([width]));
  return {
    ...plainBlock(config, width, random),
    cross_norm1: initLayerNorm(width),
    cross_norm2: initLayerNorm(width),
    cross_attn: {
      q: initLinear(random, width, width, { bias: false }),
      kv: initLinear(random, width, 2 * width, { bias: false }),
      ...(config.qkvBias && { q_bias: zeros(), v_bias: zeros() }),
      proj: initLinear(random, width, width),
    },
  };
}

/** Tokens with their positions through all blocks: [B, N, P] -> [B, K, D]; every token where there is no mask. */
export function encodeStream(
  { patch_embed, blocks, norm }: EncoderParams,
  { heads, epsilon, halfway }: HicmaeNetworkConfig,
  patches: tf.Tensor3D,
  mask?: Mask,
): { readonly latent: tf.Tensor3D; readonly halfway: readonly tf.Tensor[] } {
  const levels: tf.Tensor[] = [];
  const last = blocks.reduce(
    (x, block) => {
      const next = applyBlock(block, x, { heads, epsilon });
      levels.push(next);
      return next;
    },
    embedPlaced(patch_embed, patches, mask) as tf.Tensor,
  );
  return {
    latent: applyLayerNorm(norm, last, epsilon) as tf.Tensor3D,
    halfway: halfway.map((block) => applyLayerNorm(norm, levels[block]!, epsilon)),
  };
}

/** Blocks in which each modality looks at what the other was before the block. */
export function fuse(
  { encoder_fusion: { blocks, blocks_audio, norm, norm_audio } }: HicmaeNetworkParams,
  { fusionHeads: heads, epsilon }: HicmaeNetworkConfig,
  video: tf.Tensor,
  audio: tf.Tensor,
): [tf.Tensor, tf.Tensor] {
  const [v, a] = blocks.reduce<[tf.Tensor, tf.Tensor]>(
    ([v, a], block, i) => [
      applyCrossBlock(block, v, a, { heads, epsilon }),
      applyCrossBlock(blocks_audio[i]!, a, v, { heads, epsilon }),
    ],
    [video, audio],
  );
  return [applyLayerNorm(norm, v, epsilon), applyLayerNorm(norm_audio, a, epsilon)];
}

/** x + cross(x, context), then + attn, then + mlp, each after a norm: [B, N, D], [B, M, D] -> [B, N, D] */
function applyCrossBlock(
  params: CrossBlockParams,
  x: tf.Tensor,
  context: tf.Tensor,
  { heads, epsilon }: { heads: number; epsilon: number },
): tf.Tensor {
  const { q, kv, q_bias, v_bias, proj } = params.cross_attn;
  const width = x.shape.at(-1)!;
  const queries = linear(x, q.weight, q_bias, { norm: { ...params.cross_norm1, epsilon } });
  const bias = v_bias === undefined ? undefined : tf.concat([tf.zeros([width]), v_bias]);
  const both = linear(context, kv.weight, bias, { norm: { ...params.cross_norm2, epsilon } }); // [B, M, 2D]
  const [keys, values] = tf.split(both, 2, 2) as [tf.Tensor, tf.Tensor];
  const crossed = applyLinear(proj, attention(queries, keys, values, { heads }), { residual: x });
  const attended = applySelfAttention(params.attn, crossed, {
    norm: { ...params.norm1, epsilon },
    heads,
    residual: crossed,
  });
  return applyMlp(params.mlp, attended, { norm: { ...params.norm2, epsilon }, residual: attended });
}

/** Predictions at the masked places: fused tokens [B, K, D] -> [B, N - K, P] */
export function decodeStream(
  { blocks, norm, head }: DecoderParams,
  { decoderHeads: heads, epsilon }: HicmaeNetworkConfig,
  { down, token }: { down: LinearParams; token: tf.Variable },
  halfway: readonly tf.Tensor[],
  fused: tf.Tensor,
  mask: Mask,
): tf.Tensor {
  const contexts = [...halfway].reverse().map((features) => downPlaced(down, features, mask)); // the deepest first
  const decoded = blocks.reduce(
    (x, block, i) =>
      i === 0
        ? applyBlock(block, x, { heads, epsilon })
        : applyCrossBlock(block as CrossBlockParams, x, contexts[i - 1]!, { heads, epsilon }),
    decoderInput(down, token, fused, mask) as tf.Tensor,
  );
  const hidden = decoded.slice([0, mask.kept, 0]);
  return applyLinear(head, applyLayerNorm(norm, hidden, epsilon));
}
