/** A step of MAE's pretraining as a file that every runner reads: parameters, images and masks; and how much work it is. */
import { createModel, createRandom, flatten, randomMask, rawTensor, startEngine } from "@unmask/core";
import { writeSafetensors } from "@unmask/core/node";
import { mae } from "@unmask/image";

export interface MaeStep {
  readonly batch: number;
  readonly config: Record<string, number | number[]>;
}

/** Of an encoder of so many blocks and heads, and a decoder of [width, blocks, heads]. */
export const transformer = (
  width: number,
  depth: number,
  heads: number,
  decoder: readonly [number, number, number],
) => ({
  ...{ width, depth, heads, decoderWidth: decoder[0], decoderDepth: decoder[1], decoderHeads: decoder[2] },
});

/** Different masks, taken in turns. */
const MASKS = 4;

export async function writeMaeStep(path: string, { batch, config }: MaeStep, threads: number): Promise<void> {
  await startEngine("cpu");
  const random = createRandom(7);
  const model = createModel(mae, config, { seed: 1 });
  const [height, width] = model.config.imageSize;
  const tokens = (height / model.config.patchSize[0]) * (width / model.config.patchSize[1]);
  const tensors = new Map(
    [...flatten(model.params)].map(([at, variable]) => [
      `params.${at}`,
      rawTensor(variable.dataSync() as Float32Array, variable.shape),
    ]),
  );
  tensors.set("images", rawTensor(random.normals(batch * height * width * 3), [batch, height, width, 3]));
  for (let i = 0; i < MASKS; i++) {
    const { keep, masked, restore, kept } = randomMask({ batch, tokens, ratio: 0.75 }, random);
    tensors.set(`keep.${i}`, rawTensor(keep, [batch, kept]));
    tensors.set(`masked.${i}`, rawTensor(masked, [batch, tokens - kept]));
    tensors.set(`restore.${i}`, rawTensor(restore, [batch, tokens]));
  }
  const numbers = { config: model.config, threads, masks: MASKS };
  const text = Object.fromEntries(
    Object.entries(numbers).map(([key, value]) => [key, JSON.stringify(value)]),
  );
  await writeSafetensors(path, tensors, text);
  model.dispose();
}

/** Multiplications and additions of the matrix products and the attention of one step, forward and backward. */
export function operations({ batch, config }: MaeStep): number {
  const { width, depth, decoderWidth, decoderDepth, imageSize, patchSize } = config as Record<
    string,
    number
  > & {
    imageSize: number[];
    patchSize: number[];
  };
  const tokens = (imageSize[0]! / patchSize[0]!) * (imageSize[1]! / patchSize[1]!);
  const kept = Math.floor(tokens * 0.25);
  const pixels = patchSize[0]! * patchSize[1]! * 3;
  const linear = (rows: number, input: number, output: number, products = 3) =>
    2 * products * rows * input * output;
  const blocks = (count: number, n: number, d: number) =>
    count * (linear(batch * n, d, 12 * d) + batch * n * n * d * 2 * (2 + 5));
  return (
    linear(batch * kept, pixels, width!, 2) +
    blocks(depth!, kept + 1, width!) +
    linear(batch * (kept + 1), width!, decoderWidth!) +
    blocks(decoderDepth!, tokens + 1, decoderWidth!) -
    linear(batch * (kept + 1), decoderWidth!, 8 * decoderWidth!) + // the last MLP sees masked places only
    linear(batch * (tokens - kept), decoderWidth!, pixels)
  );
}
