import {
  BadSampleError,
  type Configured,
  type ConfigureRequest,
  type Dataset,
  resolveConfig,
} from "@unmask/core";
import type { PointInput } from "../batch.js";
import type { PointSample } from "../sample.js";
import { openPoints } from "./data.js";

const SURVEYED = 16;

/** Clouds are sampled to as many points as the model sees; looks whether any can be read. */
export async function configurePoints({
  method,
  source,
  given,
  data,
  strict,
}: ConfigureRequest): Promise<Configured> {
  const config = resolveConfig(method, given) as PointInput;
  const dataset: Dataset<PointSample> = openPoints(source, { method, config, data });
  let reason = "it is empty";
  let readable = 0;
  for (let i = 0; i < Math.min(SURVEYED, dataset.length) && readable === 0; i++)
    try {
      await dataset.get(i);
      readable++;
    } catch (error) {
      if (strict || !(error instanceof BadSampleError)) throw error;
      reason = error.message;
    }
  if (readable === 0) throw new BadSampleError(dataset.name, `no point cloud can be read: ${reason}`);
  return { config: {}, notes: [`${dataset.length} point clouds, ${config.points} points of each`] };
}
