import { initLinear, type LinearParams, parameter, type Random, uniform } from "@unmask/core";

/** A linear layer as PyTorch starts it: weights and bias uniform in +-1/sqrt(fan in). */
export function initTorchLinear(
  random: Random,
  width: number,
  out: number,
  { bias = true }: { readonly bias?: boolean } = {},
): LinearParams {
  const init = uniform(1 / Math.sqrt(width));
  const { weight } = initLinear(random, width, out, { bias: false, init });
  return bias ? { weight, bias: parameter(init([out], random)) } : { weight };
}
