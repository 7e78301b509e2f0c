/** Features scaled to mean 0 and deviation 1 by the statistics of the training set. */

export interface Standardiser {
  readonly mean: Float64Array;
  readonly deviation: Float64Array;
}

/**
 * Mean and deviation (n in the denominator) of each column; a constant column has deviation 1.
 * @param values [n, width]
 */
export function columnStatistics(values: Float32Array, width: number): Standardiser {
  const n = values.length / width;
  const mean = new Float64Array(width);
  const deviation = new Float64Array(width);
  for (let i = 0; i < values.length; i++) mean[i % width]! += values[i]! / n;
  for (let i = 0; i < values.length; i++) deviation[i % width]! += (values[i]! - mean[i % width]!) ** 2 / n;
  for (let c = 0; c < width; c++) {
    // rounding leaves a constant column a deviation of some ulps of its mean
    const constant = Math.sqrt(deviation[c]!) <= 1e-7 * Math.abs(mean[c]!);
    deviation[c] = constant || deviation[c] === 0 ? 1 : Math.sqrt(deviation[c]!);
  }
  return { mean, deviation };
}

/** (x - mean) / deviation, as a copy. */
export function standardise(values: Float32Array, { mean, deviation }: Standardiser): Float32Array {
  const width = mean.length;
  return Float32Array.from(values, (value, i) => (value - mean[i % width]!) / deviation[i % width]!);
}
