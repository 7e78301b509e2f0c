import { expect } from "../errors.js";
import { type Mask, maskFromOrders } from "./mask.js";

/**
 * A mask from one flag per token, visible and masked tokens each in ascending order. Flags of several masks over
 * parts of a sample, concatenated, make a mask over the whole: per-frame masks [B * T, N] are one mask [B, T * N].
 * @param flags [B, N]: not zero where a token is masked; every sample must mask as many
 */
export function maskFromFlags(flags: ArrayLike<number>, batch: number): Mask {
  const tokens = flags.length / batch;
  expect(
    Number.isInteger(tokens),
    () => `maskFromFlags: ${flags.length} flags do not divide into ${batch} samples; pass [B, N] of them`,
  );
  const orders = new Int32Array(flags.length);
  let kept = 0;
  for (let b = 0; b < batch; b++) {
    const ids = Array.from({ length: tokens }, (_, i) => i);
    const visible = ids.filter((i) => flags[b * tokens + i] === 0);
    expect(
      b === 0 || visible.length === kept,
      () =>
        `maskFromFlags: sample ${b} keeps ${visible.length} of ${tokens} tokens, sample 0 keeps ${kept}; every sample must keep as many`,
    );
    kept = visible.length;
    orders.set(visible, b * tokens);
    orders.set(
      ids.filter((i) => flags[b * tokens + i] !== 0),
      b * tokens + kept,
    );
  }
  return maskFromOrders(orders, batch, kept);
}

/** A mask from the tokens to hide in each sample, which `hide(b)` lists; visible tokens ascending. */
export function maskHiding(batch: number, tokens: number, hide: (b: number) => Iterable<number>): Mask {
  const flags = new Uint8Array(batch * tokens);
  for (let b = 0; b < batch; b++) for (const token of hide(b)) flags[b * tokens + token] = 1;
  return maskFromFlags(flags, batch);
}
