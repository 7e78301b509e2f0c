/** Amazingren/Point-CMAE: pretraining. The recorded total adds its two terms with equal weights. */
import * as tf from "@tensorflow/tfjs";
import { createRandom, maskFromFlags, resolveConfig, writeParameters } from "@unmask/core";
import type { Golden, GoldenAdapter, GoldenResult } from "@unmask/testing";
import { embedGroups } from "../../src/layers/group-encoder.js";
import { byBatch } from "../../src/layers/point-conv.js";
import { branchOf, type PointCmaeBatch, pointCmae, projectClass } from "../../src/methods/point-cmae.js";
import { biasesBeforeNorm, encoderConfig, flagsOf, groupsOf, trainedOnce } from "./support.js";

function run(golden: Golden): GoldenResult {
  const { npoints, loss, proj_dim: projectionWidth = 256, transformer_config: transformer } = golden.config;
  const config = resolveConfig(pointCmae, {
    ...encoderConfig(golden),
    points: npoints,
    projectionWidth,
    dropPath: transformer.drop_path_rate ?? 0,
    distance: loss === "cdl1" ? "l1" : "l2",
    reconstructionWeight: 1,
  });
  const params = pointCmae.init(config, createRandom(0));
  writeParameters(params, new Map([...golden.params, ...golden.buffers]));
  const { grouped, outputs } = groupsOf("point-cmae", golden, config);
  const [first, second] = ["mask1", "mask2"].map((name) => {
    const { flags, batch } = flagsOf(golden, name);
    return maskFromFlags(flags, batch);
  });
  const batch: PointCmaeBatch = {
    ...grouped,
    masks: [first!, second!],
    dropPaths: [undefined, undefined],
    decoderDropPaths: [undefined, undefined],
  };
  const tokens = embedGroups(params.MAE_encoder, grouped.neighbourhoods, byBatch);
  ([0, 1] as const).forEach((branch) => {
    const { cls, latent, hidden, decoded } = branchOf(params, config, batch, tokens, branch);
    outputs
      .set(`proj_cls${branch + 1}`, projectClass(params, cls))
      .set(`x_vis${branch + 1}`, latent)
      .set(`x_rec${branch + 1}`, hidden)
      .set(`de_feats${branch + 1}`, decoded);
  });
  const terms = pointCmae.loss(params, config, batch);
  outputs
    .set("loss_recon", terms.reconstruction)
    .set("loss_contras", terms.contrast)
    .set("total_loss", tf.add(terms.reconstruction, terms.contrast));
  const { gradients, buffers } = trainedOnce(params, () => pointCmae.loss(params, config, batch).total);
  return { outputs: new Map([...outputs, ...buffers]), gradients, vanishing: biasesBeforeNorm };
}

export const pointCmaePretraining: GoldenAdapter = {
  accepts: ({ method }) => method === "Point-CMAE",
  run,
};
