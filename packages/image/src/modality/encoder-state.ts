/** The encoders of image methods under the paths of `vit`, for a classifier that begins with one. */
import * as tf from "@tensorflow/tfjs";

type Tensors = ReadonlyMap<string, tf.Tensor>;

/**
 * Parameters under the paths that `vit` has for them; what is no encoder's stays under its own. New tensors where parts are
 * put together, so call it in a tidy.
 */
export function vitState(parameters: Tensors): Map<string, tf.Tensor> {
  const state = new Map([...parameters].map(([path, tensor]) => [vitPath(path), tensor]));
  for (const path of [...state.keys()]) {
    const attention = path.replace(/proj\.weight$/, "");
    if (path === attention || !attention.endsWith("attn.")) continue;
    const parts = (names: readonly string[]) => names.map((name) => state.get(attention + name));
    const [q, k, v] = parts(["q.weight", "k.weight", "v.weight"]);
    if (q && k && v) state.set(`${attention}qkv.weight`, tf.concat([q, k, v]));
    const [bq, bk, bv] = parts(["q.bias", "k.bias", "v.bias"]);
    if (bq && bk && bv) state.set(`${attention}qkv.bias`, tf.concat([bq, bk, bv]));
    const [queries, values] = parts(["q_bias", "v_bias"]); // keys have none
    if (queries && values)
      state.set(`${attention}qkv.bias`, tf.concat([queries, tf.zerosLike(queries), values]));
  }
  const [positions, segments] = [state.get("pos_embed"), state.get("segment_embed")];
  if (positions && segments) state.set("pos_embed", withFirstSegment(positions, segments));
  return state;
}

/** CMAE's names are those of mmpretrain. */
function vitPath(path: string): string {
  if (!path.startsWith("backbone.")) return path;
  return path
    .replace(/^backbone\./, "")
    .replace("patch_embed.projection", "patch_embed.proj")
    .replace(/^ln1\./, "norm.")
    .replace(/^layers\.(\d+)\.ln(\d)/, "blocks.$1.norm$2")
    .replace(/^layers\.(\d+)\.ffn\.layers\.0\.0/, "blocks.$1.mlp.fc1")
    .replace(/^layers\.(\d+)\.ffn\.layers\.1/, "blocks.$1.mlp.fc2")
    .replace(/^layers\./, "blocks.");
}

/** MixedAE encodes whole images as the first of a mixture: [1, 1 + N, D], the class token's row as it is. */
function withFirstSegment(positions: tf.Tensor, segments: tf.Tensor): tf.Tensor {
  const patches = tf.add(positions.slice([0, 1, 0]), segments.slice([0, 0], [1, -1]));
  return tf.concat([positions.slice([0, 0, 0], [1, 1, -1]), patches], 1);
}
