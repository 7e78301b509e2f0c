/** Batch normalisation of feature vectors without learned scale and shift, on the host. */

/** PyTorch's BatchNorm1d(affine=False, eps=1e-6): batch statistics in training, running ones afterwards. */
export class BatchNorm {
  private readonly mean: Float64Array;
  private readonly variance: Float64Array;

  constructor(readonly width: number) {
    this.mean = new Float64Array(width);
    this.variance = new Float64Array(width).fill(1);
  }

  /** In place; moves the running statistics a tenth of the way (the variance with n - 1 in the denominator). */
  normaliseBatch(values: Float32Array): void {
    const { width } = this;
    const n = values.length / width;
    const mean = new Float64Array(width);
    const variance = new Float64Array(width);
    for (let i = 0; i < values.length; i++) mean[i % width]! += values[i]! / n;
    for (let i = 0; i < values.length; i++) variance[i % width]! += (values[i]! - mean[i % width]!) ** 2 / n;
    scale(values, values, mean, variance);
    for (let c = 0; c < width; c++) {
      this.mean[c] = 0.9 * this.mean[c]! + 0.1 * mean[c]!;
      this.variance[c] = 0.9 * this.variance[c]! + (0.1 * variance[c]! * n) / (n - 1);
    }
  }

  /** By the running statistics, as a copy. */
  normalise(values: Float32Array): Float32Array {
    const scaled = new Float32Array(values.length);
    scale(values, scaled, this.mean, this.variance);
    return scaled;
  }
}

function scale(from: Float32Array, to: Float32Array, mean: Float64Array, variance: Float64Array): void {
  const width = mean.length;
  const factor = variance.map((v) => 1 / Math.sqrt(v + 1e-6));
  for (let i = 0; i < from.length; i++) to[i] = (from[i]! - mean[i % width]!) * factor[i % width]!;
}
