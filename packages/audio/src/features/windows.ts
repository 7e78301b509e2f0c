/** Windows of Kaldi's feature extraction, symmetric. */

export type WindowKind = "hanning" | "hamming" | "povey" | "blackman" | "rectangular";

/** @param blackman the constant term of the Blackman window */
export function windowOf(kind: WindowKind, size: number, blackman = 0.42): Float64Array {
  const step = (2 * Math.PI) / (size - 1);
  const shape = (i: number): number => {
    const cos = Math.cos(step * i);
    switch (kind) {
      case "hanning":
        return 0.5 - 0.5 * cos;
      case "hamming":
        return 0.54 - 0.46 * cos;
      case "povey":
        return Math.max(0, 0.5 - 0.5 * cos) ** 0.85;
      case "blackman":
        return blackman - 0.5 * cos + (0.5 - blackman) * Math.cos(2 * step * i);
      case "rectangular":
        return 1;
    }
  };
  return Float64Array.from({ length: size }, (_, i) => shape(i));
}
