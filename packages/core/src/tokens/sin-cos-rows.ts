/** The fixed position tables of the VideoMAE family, made once. */
import * as tf from "@tensorflow/tfjs";
import { tidy } from "../scope.js";
import { sinCos1d } from "./position.js";

/** Tables by size: a model uses two, and making one takes as long as a small model's step. */
const tables = new Map<string, Float32Array>();

/**
 * Rows of the one-dimensional sine-cosine table over all tokens of a sample, as `sinCos1d` makes it.
 * @param tokens N, the rows of the table
 * @param places the rows wanted; default all in order
 * @returns [places, D]
 */
export function sinCosRows(tokens: number, width: number, places?: Int32Array): tf.Tensor2D {
  const table = tableOf(tokens, width);
  if (places === undefined) return tf.tensor2d(table.slice(), [tokens, width]);
  const rows = new Float32Array(places.length * width);
  places.forEach((place, i) => {
    rows.set(table.subarray(place * width, (place + 1) * width), i * width);
  });
  return tf.tensor2d(rows, [places.length, width]);
}

function tableOf(tokens: number, width: number): Float32Array {
  const key = `${tokens} ${width}`;
  const known = tables.get(key);
  if (known !== undefined) return known;
  const table = tidy(() => sinCos1d(tokens, width).dataSync().slice() as Float32Array);
  tables.set(key, table);
  return table;
}
