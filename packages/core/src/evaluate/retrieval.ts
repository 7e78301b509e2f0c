/** Retrieval: where the right item stands when a gallery is sorted by similarity to a query. */
import { expect } from "../errors.js";
import { rowProducts, unitRows } from "./row-products.js";

export interface Retrieval {
  /** Share of queries whose item is among the first k, by k. */
  readonly recall: Readonly<Record<number, number>>;
  /** 1 is best. */
  readonly medianRank: number;
  readonly meanRank: number;
  /** Of each query, from 1. */
  readonly ranks: Int32Array;
}

export interface RetrievalOptions {
  /** Values of k; 1, 5 and 10 when absent. */
  readonly k?: readonly number[];
  /** Gallery index of the right item of each query; when absent, item i belongs to query i. */
  readonly match?: ArrayLike<number>;
}

/**
 * Recall at k and ranks from similarities, higher meaning closer. Items that are equally similar are ranked by index,
 * so that a model that maps everything to one point does not look perfect.
 * @param similarities [queries, gallery]
 */
export function retrieval(
  similarities: Float32Array,
  queries: number,
  gallery: number,
  options: RetrievalOptions = {},
): Retrieval {
  expect(
    similarities.length === queries * gallery,
    () => `retrieval: expected ${queries} x ${gallery} similarities, got ${similarities.length}`,
  );
  const match = matches(queries, gallery, options);
  const ranks = new Int32Array(queries);
  rankRows(similarities, gallery, match, 0, ranks);
  return summary(ranks, options);
}

export interface RetrievalBothWays {
  readonly forward: Retrieval;
  readonly backward: Retrieval;
}

/**
 * Retrieval by cosine similarity between pairs, from the first set to the second and back; row i of one belongs to
 * row i of the other.
 * @param first [n, width]
 * @param second [n, width]
 */
export async function retrievalOfPairs(
  first: Float32Array,
  second: Float32Array,
  width: number,
  { k }: Pick<RetrievalOptions, "k"> = {},
): Promise<RetrievalBothWays> {
  const n = first.length / width;
  expect(
    first.length === second.length && Number.isInteger(n) && n > 0,
    () =>
      `retrievalOfPairs: expected two sets of as many rows of ${width}, got ${first.length} and ${second.length} values`,
  );
  const [a, b] = [unitRows("retrievalOfPairs", first, width), unitRows("retrievalOfPairs", second, width)];
  const oneWay = async (from: Float32Array, to: Float32Array) => {
    const match = matches(n, n, {});
    const ranks = new Int32Array(n);
    for await (const { start, products } of rowProducts(from, to, width))
      rankRows(products, n, match, start, ranks);
    return summary(ranks, { k });
  };
  return { forward: await oneWay(a, b), backward: await oneWay(b, a) };
}

function matches(queries: number, gallery: number, { match }: RetrievalOptions): ArrayLike<number> {
  const right = match ?? Int32Array.from({ length: queries }, (_, i) => i);
  expect(
    queries > 0 && right.length === queries && Array.from(right).every((i) => i >= 0 && i < gallery),
    () =>
      `retrieval: expected for each of ${queries} queries an item in 0..${gallery - 1}; pass \`match\` when item i does not belong to query i`,
  );
  return right;
}

/** Writes ranks of the queries from `start` on; `similarities` holds whole rows. */
function rankRows(
  similarities: Float32Array,
  gallery: number,
  match: ArrayLike<number>,
  start: number,
  ranks: Int32Array,
): void {
  for (let row = 0; row < similarities.length / gallery; row++) {
    const offset = row * gallery;
    const item = match[start + row]!;
    const own = similarities[offset + item]!;
    let rank = 1;
    for (let i = 0; i < gallery; i++) {
      const other = similarities[offset + i]!;
      expect(
        !Number.isNaN(other),
        () => `retrieval: similarity ${start + row}, ${i} is NaN; check the model's output`,
      );
      if (other > own || (other === own && i < item)) rank++;
    }
    ranks[start + row] = rank;
  }
}

function summary(ranks: Int32Array, { k = [1, 5, 10] }: RetrievalOptions): Retrieval {
  const n = ranks.length;
  const sorted = ranks.slice().sort();
  const middle = n >> 1;
  return {
    recall: Object.fromEntries(k.map((k) => [k, sorted.filter((rank) => rank <= k).length / n])),
    medianRank: n % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2,
    meanRank: sorted.reduce((sum, rank) => sum + rank, 0) / n,
    ranks,
  };
}
