/** antofuller/CROMA: pretraining, the tables of its 2-D ALiBi, and the encoders of its inference code. */
import * as tf from "@tensorflow/tfjs";
import {
  alibi2d,
  bindModel,
  createRandom,
  maskedFlags,
  maskFromNoise,
  resolveConfig,
  toFloat32,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import { cromaPath } from "../../src/checkpoints/croma.js";
import {
  type CromaBatch,
  type CromaConfig,
  croma,
  cromaContrast,
  cromaDecode,
  cromaEncode,
  cromaReconstructionLoss,
} from "../../src/methods/croma.js";
import { channelsLast, gradientsOf } from "./support.js";

const pair = (value: number | readonly number[]) => (typeof value === "number" ? [value, value] : value);

function runPretraining(golden: Golden): GoldenResult {
  const { config: theirs, inputs } = golden;
  const images = channelsLast(given(inputs, "imgs"));
  const [, height, width, bands] = images.shape;
  const radarBands = theirs.radar_channels ?? 2;
  const config = resolveConfig(croma, {
    imageSize: [height, width],
    patchSize: theirs.patch_size,
    opticalBands: (theirs.total_channels ?? bands) - radarBands,
    radarBands,
    width: theirs.encoder_dim,
    depth: theirs.encoder_layers,
    heads: theirs.attention_heads,
    decoderWidth: theirs.decoder_dim,
    decoderDepth: theirs.decoder_layers,
    decoderHeads: theirs.decoder_heads ?? 8,
    maskRatio: theirs.mask_ratio_radar,
  }) as CromaConfig;
  const model = bindModel(croma, config, croma.init(config, createRandom(0)));
  writeParameters(model.params, golden.params);
  const mask = (name: string, ratio: number) =>
    maskFromNoise(toFloat32(given(inputs, name)), images.shape[0], ratio);
  const batch: CromaBatch = {
    optical: images.slice([0, 0, 0, 0], [-1, -1, -1, config.opticalBands]),
    radar: images.slice([0, 0, 0, config.opticalBands]),
    opticalMask: mask("noise_optical", theirs.mask_ratio_optical),
    radarMask: mask("noise_radar", theirs.mask_ratio_radar),
  };
  const { params } = model;
  const encoded = cromaEncode(params, config, batch);
  const prediction = cromaDecode(params, config, encoded.joint, batch.radarMask);
  const grid = pair(theirs.grid) as [number, number];
  const outputs = new Map<string, Values>([
    ["alibi", alibi2d(config.heads, grid)],
    ["contrastive_loss", cromaContrast(params, config, encoded.opticalGap, encoded.radarGap)],
    ["mae_loss", cromaReconstructionLoss(config, batch, prediction)],
    ["joint_encodings", encoded.joint],
    ["optical_encodings", encoded.optical],
    ["radar_encodings", encoded.radar],
    ["optical_GAP", encoded.opticalGap],
    ["radar_GAP", encoded.radarGap],
    ["optical_ids_keep", batch.opticalMask.keep],
    ["radar_ids_keep", batch.radarMask.keep],
    ["optical_ids_restore", batch.opticalMask.restore],
    ["radar_ids_restore", batch.radarMask.restore],
    ["optical_mask", maskedFlags(batch.opticalMask)],
    ["radar_mask", maskedFlags(batch.radarMask)],
    ["pred", prediction],
    ["total_loss", model.loss(batch).total],
  ]);
  return { outputs, gradients: gradientsOf(params, () => croma.loss(params, config, batch).total) };
}

function runInference(golden: Golden): GoldenResult {
  const { config: theirs, inputs } = golden;
  const optical = channelsLast(given(inputs, "optical_images"));
  const radar = channelsLast(given(inputs, "SAR_images"));
  const config = resolveConfig(croma, {
    imageSize: theirs.image_resolution,
    patchSize: theirs.patch_size ?? 8,
    opticalBands: optical.shape[3],
    radarBands: radar.shape[3],
    width: theirs.dim,
    depth: theirs.depth,
    heads: theirs.num_heads ?? 16,
    decoderWidth: 8,
    decoderHeads: 1,
  }) as CromaConfig;
  const params = croma.init(config, createRandom(0));
  const renamed = new Map([...golden.params].map(([name, raw]) => [cromaPath(name), raw]));
  writeParameters(params, renamed, { strict: false });
  const encodings = () => {
    const { joint, opticalGap, radarGap, ...rest } = cromaEncode(params, config, { optical, radar });
    return {
      SAR_encodings: rest.radar,
      SAR_GAP: radarGap,
      optical_encodings: rest.optical,
      optical_GAP: opticalGap,
      joint_encodings: joint,
      joint_GAP: tf.mean(joint, 1),
    };
  };
  const total = (): tf.Scalar =>
    Object.values(encodings()).reduce<tf.Tensor>(
      (sum, x) => tf.add(sum, tf.mean(tf.square(x))),
      tf.scalar(0),
    ) as tf.Scalar;
  const gradients = gradientsOf(params, total);
  return {
    outputs: new Map<string, Values>(Object.entries(encodings())).set("total_loss", total()),
    gradients: new Map([...golden.params.keys()].map((name) => [name, gradients.get(cromaPath(name))!])),
  };
}

function runTables(golden: Golden): GoldenResult {
  const outputs = new Map<string, Values>();
  for (const name of golden.outputs.keys()) {
    const [, heads, places] = /h(\d+)_n(\d+)/.exec(name)!.map(Number) as [number, number, number];
    const side = Math.sqrt(places);
    outputs.set(name, alibi2d(heads, [side, side]));
  }
  return { outputs, gradients: new Map() };
}

export const cromaPretraining: GoldenAdapter = {
  accepts: ({ method }) => method === "CROMA pretraining",
  run: runPretraining,
};
export const cromaInference: GoldenAdapter = {
  accepts: ({ method }) => method.startsWith("CROMA inference"),
  run: runInference,
};
export const cromaTables: GoldenAdapter = {
  accepts: ({ method }) => method === "2D-ALiBi tables",
  run: runTables,
};
