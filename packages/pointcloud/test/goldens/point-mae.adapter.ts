/** Pang-Yatian/Point-MAE: pretraining. */
import { createRandom, maskFromFlags, resolveConfig, writeParameters } from "@unmask/core";
import type { Golden, GoldenAdapter, GoldenResult } from "@unmask/testing";
import { embedGroups } from "../../src/layers/group-encoder.js";
import { byBatch } from "../../src/layers/point-conv.js";
import {
  decodeHidden,
  encodeVisible,
  hiddenPoints,
  type PointMaeBatch,
  type PointMaeConfig,
  pointMae,
  predictPoints,
} from "../../src/methods/point-mae.js";
import { biasesBeforeNorm, encoderConfig, flagsOf, groupsOf, trainedOnce } from "./support.js";

function configOf(golden: Golden): PointMaeConfig {
  const { npoints, loss, transformer_config: transformer } = golden.config;
  return resolveConfig(pointMae, {
    ...encoderConfig(golden),
    points: npoints,
    dropPath: transformer.drop_path_rate ?? 0,
    masking: transformer.mask_type === "rand" ? "random" : "block",
    distance: loss === "cdl1" ? "l1" : "l2",
  });
}

function run(golden: Golden): GoldenResult {
  const config = configOf(golden);
  const params = pointMae.init(config, createRandom(0));
  writeParameters(params, new Map([...golden.params, ...golden.buffers]));
  const { grouped, outputs } = groupsOf("point-mae", golden, config);
  const { flags, batch: size } = flagsOf(golden, "mask");
  const batch: PointMaeBatch = { ...grouped, mask: maskFromFlags(flags, size) };
  const latent = encodeVisible(params, config, batch, byBatch);
  const decoded = decodeHidden(params, config, batch, latent);
  outputs
    .set("group_tokens", embedGroups(params.MAE_encoder, grouped.neighbourhoods, byBatch))
    .set("latent", latent)
    .set("decoder_out", decoded)
    .set("rebuild_points", predictPoints(params, decoded))
    .set("gt_points", hiddenPoints(batch))
    .set("total_loss", pointMae.loss(params, config, batch).total);
  const { gradients, buffers } = trainedOnce(params, () => pointMae.loss(params, config, batch).total);
  return { outputs: new Map([...outputs, ...buffers]), gradients, vanishing: biasesBeforeNorm };
}

export const pointMaePretraining: GoldenAdapter = {
  accepts: ({ method }) => method === "Point-MAE",
  run,
};
