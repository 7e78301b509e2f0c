/** Loss and gradients of one update, in one part or several. */
import * as tf from "@tensorflow/tfjs";
import { applyBufferUpdates } from "../buffers.js";
import type { Batch, LossTerms } from "../method.js";
import { gradNorm } from "../optim/clip.js";
import type { Random } from "../random.js";
import { disposeAll, tidy } from "../scope.js";
import { valueAndGradients } from "./backward.js";
import type { LoadedSamples } from "./loader.js";

export interface Losses<S, B extends Batch> {
  /** Samples into a batch with every random draw; `indices` are the samples' places in the data set. */
  prepare(samples: readonly S[], random: Random, indices: readonly number[]): B;
  /** Differentiable. */
  loss(batch: B): LossTerms;
}

export interface Gradients {
  readonly loss: number;
  /** Named parts of the loss, without the total. */
  readonly terms: Readonly<Record<string, number>>;
  readonly gradNorm: number;
  /** By path; the caller disposes them. Parameters that the loss does not reach are absent. */
  readonly gradients: ReadonlyMap<string, tf.Tensor>;
}

/**
 * Gradients of the mean loss over `parts` equal parts of the samples. The parts take their draws from `random` one after
 * another, so that a method that draws sample by sample draws what it would for all at once.
 */
export async function computeGradients<S, B extends Batch>(
  losses: Losses<S, B>,
  params: ReadonlyMap<string, tf.Variable>,
  loaded: LoadedSamples<S>,
  random: Random,
  parts: number,
): Promise<Gradients> {
  const { paths, gradients, names, weights, scalars } = tidy(() =>
    sumOfParts(losses, params, split(loaded, parts), random),
  );
  try {
    // One read a step: the terms of every part, then the norm. tfjs waits for the engine at each read.
    const values = await scalars.data();
    const means = names.map((_, term) =>
      weights.reduce((sum, weight, part) => sum + weight * values[part * names.length + term]!, 0),
    );
    return {
      loss: means[0]!,
      terms: Object.fromEntries(names.slice(1).map((name, i) => [name, means[i + 1]!])),
      gradNorm: values[values.length - 1]!,
      gradients: new Map(paths.map((path, i) => [path, gradients[i]!])),
    };
  } catch (error) {
    disposeAll(gradients);
    throw error;
  } finally {
    scalars.dispose();
  }
}

interface Part<S> {
  readonly samples: readonly S[];
  readonly indices: readonly number[];
  /** Share of all samples. */
  readonly weight: number;
}

function split<S>({ samples, indices }: LoadedSamples<S>, parts: number): Part<S>[] {
  const count = samples.length;
  const size = Math.ceil(count / parts);
  return Array.from({ length: Math.ceil(count / size) }, (_, part) => {
    const [begin, end] = [part * size, Math.min((part + 1) * size, count)];
    return {
      samples: samples.slice(begin, end),
      indices: indices.slice(begin, end),
      weight: (end - begin) / count,
    };
  });
}

function sumOfParts<S, B extends Batch>(
  { prepare, loss }: Losses<S, B>,
  params: ReadonlyMap<string, tf.Variable>,
  parts: readonly Part<S>[],
  random: Random,
) {
  let sums = new Map<string, tf.Tensor>();
  let names: string[] = [];
  const scalars: tf.Tensor[] = [];
  for (const { samples, indices, weight } of parts) {
    const batch = tidy(() => prepare(samples, random, indices));
    const part = applyBufferUpdates(() => termsAndGradients(() => loss(batch), params));
    disposeAll(batch);
    names = [...part.terms.keys()];
    scalars.push(...part.terms.values());
    if (parts.length === 1) sums = part.gradients;
    else sums = addScaled(sums, part.gradients, weight);
  }
  scalars.push(gradNorm(sums));
  return {
    paths: [...sums.keys()],
    gradients: [...sums.values()],
    names,
    weights: parts.map(({ weight }) => weight),
    scalars: tf.stack(scalars.map((scalar) => scalar.asScalar())) as tf.Tensor1D,
  };
}

/** sums + weight * gradients; disposes both. */
function addScaled(
  sums: ReadonlyMap<string, tf.Tensor>,
  gradients: ReadonlyMap<string, tf.Tensor>,
  weight: number,
): Map<string, tf.Tensor> {
  const next = new Map(sums);
  for (const [path, gradient] of gradients) {
    const sum = sums.get(path);
    next.set(
      path,
      tf.tidy(() => {
        const part = tf.mul(gradient, weight);
        return sum === undefined ? part : tf.add(sum, part);
      }),
    );
    sum?.dispose();
    gradient.dispose();
  }
  return next;
}

/** The terms, total first, and the gradients by path; all are new tensors. */
function termsAndGradients(loss: () => LossTerms, params: ReadonlyMap<string, tf.Variable>) {
  const named = new Map<string, tf.Tensor>();
  try {
    const found = valueAndGradients(() => {
      const { total, ...rest } = loss();
      // Everything but the total goes when the scope of the gradient closes.
      for (const [name, term] of Object.entries(rest)) named.set(name, tf.keep(term.clone()));
      return total;
    }, [...params.values()]);
    const gradients = new Map<string, tf.Tensor>();
    [...params.keys()].forEach((path, i) => {
      const gradient = found.gradients[i];
      if (gradient !== undefined) gradients.set(path, gradient);
    });
    const terms = new Map<string, tf.Tensor>([["total", found.value]]);
    for (const [name, term] of named) terms.set(name, term.clone()); // back into the caller's scope
    return { terms, gradients };
  } finally {
    for (const term of named.values()) term.dispose();
  }
}
