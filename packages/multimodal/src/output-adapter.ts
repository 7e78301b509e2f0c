/**
 * A decoder of one modality that reads the tokens of all of them by cross-attention (MultiMAE, Bachmann et al., arXiv
 * 2204.01678): queries stand at the places of its modality, visible ones as they were encoded and hidden ones as mask tokens;
 * there is no residual around the cross-attention.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyBlock,
  applyLayerNorm,
  applyLinear,
  applyMlp,
  attention,
  type BlockParams,
  buffer,
  initBlock,
  initLayerNorm,
  initLinear,
  initMlp,
  type LayerNormParams,
  type LinearParams,
  type Mask,
  type MlpParams,
  parameter,
  type Random,
  restoreRows,
  sinCos2d,
  takeRows,
  truncatedNormal,
  uniform,
} from "@unmask/core";
import type { Span } from "./join-tokens.js";

export interface OutputAdapterParams {
  /** [1, D, rows, columns], frozen */
  readonly pos_emb: tf.Variable;
  /** [1, 1, D] */
  readonly mask_token: tf.Variable;
  /** [1, 1, D] by modality */
  readonly task_embeddings: Readonly<Record<string, tf.Variable>>;
  readonly proj_context: LinearParams;
  /** Cross-attention; `kv` is keys, then values. */
  readonly decoder: { readonly q: LinearParams; readonly kv: LinearParams; readonly proj: LinearParams };
  readonly context_norm: LayerNormParams;
  readonly query_norm: LayerNormParams;
  readonly out_norm: LayerNormParams;
  readonly mlp: MlpParams;
  readonly decoder_transformer: readonly BlockParams[];
  readonly out_proj: LinearParams;
}

export interface OutputAdapterConfig {
  readonly grid: readonly [number, number];
  /** Of the encoder's tokens. */
  readonly width: number;
  /** Of the decoder's. */
  readonly decoder: number;
  readonly decoderDepth: number;
  readonly mlpRatio: number;
  /** Values of a patch. */
  readonly values: number;
  /** Modalities in the order of their tokens. */
  readonly tasks: readonly string[];
}

export function initOutputAdapter(random: Random, config: OutputAdapterConfig): OutputAdapterParams {
  const { grid, width, decoder, decoderDepth, mlpRatio, values, tasks } = config;
  const vector = () => parameter(truncatedNormal(0.02)([1, 1, decoder], random));
  return {
    pos_emb: gridTable(grid, decoder),
    mask_token: parameter(tf.zeros([1, 1, decoder])),
    task_embeddings: Object.fromEntries(tasks.map((task) => [task, vector()])),
    proj_context: initLinear(random, width, decoder),
    decoder: {
      q: initLinear(random, decoder, decoder),
      kv: initLinear(random, decoder, 2 * decoder, { init: uniform(Math.sqrt(6 / (2 * decoder))) }),
      proj: initLinear(random, decoder, decoder),
    },
    context_norm: initLayerNorm(decoder),
    query_norm: initLayerNorm(decoder),
    out_norm: initLayerNorm(decoder),
    mlp: initMlp(random, decoder, Math.trunc(decoder * mlpRatio)),
    decoder_transformer: initAdapterBlocks(random, decoderDepth, decoder, mlpRatio),
    out_proj: initLinear(random, decoder, values),
  };
}

/** Blocks whose packed projections begin as their parts would: xavier by a part's own fan out. */
export function initAdapterBlocks(
  random: Random,
  depth: number,
  width: number,
  mlpRatio: number,
): BlockParams[] {
  return Array.from({ length: depth }, () => {
    const block = initBlock(random, { width, hidden: Math.trunc(width * mlpRatio) });
    block.attn.qkv.weight.assign(uniform(Math.sqrt(6 / (2 * width)))([3 * width, width], random));
    return block;
  });
}

export interface OutputAdapterOptions {
  /** Over the tokens of all modalities in a row. */
  readonly mask: Mask;
  readonly spans: Readonly<Record<string, Span>>;
  /** The modality that is predicted. */
  readonly task: string;
  readonly heads: number;
  readonly epsilon: number;
}

/** Visible tokens, then global ones: [B, K + G, D] -> [B, N, values of a patch] of the task's places. */
export function applyOutputAdapter(
  adapter: OutputAdapterParams,
  latent: tf.Tensor3D,
  { mask, spans, task, heads, epsilon }: OutputAdapterOptions,
): tf.Tensor3D {
  const context = applyLinear(adapter.proj_context, latent); // [B, K + G, d]
  const [batch, , width] = context.shape as [number, number, number];
  const seen = context.slice([0, 0, 0], [batch, mask.kept, width]);
  const globals = context.slice([0, mask.kept, 0]);
  const table = tablePositions(adapter.pos_emb);
  const embeddings = Object.keys(spans).map((one) => tf.add(table, adapter.task_embeddings[one]!));
  const all = tf.add(restoreRows(seen, adapter.mask_token, mask), tf.concat(embeddings, 1)); // [B, sum of N, d]
  const { start, length } = spans[task]!;
  const own = all.slice([0, start, 0], [batch, length, width]);
  const read = tf.concat([takeRows(all, mask.keep), globals], 1);
  const kv = applyLinear(adapter.decoder.kv, applyLayerNorm(adapter.context_norm, read, epsilon));
  const [k, v] = tf.split(kv, 2, 2) as [tf.Tensor, tf.Tensor];
  const q = applyLinear(adapter.decoder.q, applyLayerNorm(adapter.query_norm, own, epsilon));
  const x = applyLinear(adapter.decoder.proj, attention(q, k, v, { heads }));
  const mixed = applyMlp(adapter.mlp, applyLayerNorm(adapter.out_norm, x, epsilon), { residual: x });
  const decoded = adapter.decoder_transformer.reduce(
    (tokens, block) => applyBlock(block, tokens, { heads, epsilon }),
    mixed,
  );
  return applyLinear(adapter.out_proj, decoded) as tf.Tensor3D;
}

/** A frozen table of positions, row coordinate first: [1, D, rows, columns] */
export const gridTable = (grid: readonly [number, number], width: number): tf.Variable =>
  buffer(tf.transpose(sinCos2d(grid, width, { order: "row-first" })).reshape([1, width, ...grid]));

/** [1, D, rows, columns] -> [1, N, D] */
export const tablePositions = (table: tf.Tensor): tf.Tensor => {
  const [, width, rows, columns] = table.shape as [number, number, number, number];
  return tf.transpose(table.reshape([width, rows * columns])).expandDims(0);
};
