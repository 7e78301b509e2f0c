/** What the adapters of point cloud methods share. */
import * as tf from "@tensorflow/tfjs";
import { applyBufferUpdates, flatten, toFloat32, trainable } from "@unmask/core";
import { type Golden, given, type Values } from "@unmask/testing";
import { groupedTensors } from "../../src/batch.js";
import { groupPoints } from "../../src/geometry/groups.js";
import type { GroupEncoderConfig } from "../../src/layers/group-encoder.js";

/** Recorded clouds: inputs.points [B, N, 3] */
function clouds(golden: Golden): Float32Array[] {
  const { shape } = given(golden.inputs, "points");
  const values = toFloat32(given(golden.inputs, "points"));
  const size = shape[1]! * 3;
  return Array.from({ length: shape[0]! }, (_, b) => values.slice(b * size, (b + 1) * size));
}

/** Groups of the recorded clouds, and under the recordings' names what they were made of. */
export function groupsOf(name: string, golden: Golden, config: GroupEncoderConfig) {
  const samples = clouds(golden).map((points) => ({ points }));
  const { hostCentres: _, ...grouped } = groupedTensors(name, samples, config);
  const found = samples.map(({ points }) => groupPoints(name, points, config.groups, config.groupSize));
  const outputs = new Map<string, Values>([
    ["neighborhood", grouped.neighbourhoods],
    ["center", grouped.centres],
    ["fps_idx", found.flatMap(({ centreIndex }) => [...centreIndex])],
    ["knn_idx", found.flatMap(({ pointIndex }) => [...pointIndex])],
  ]);
  return { grouped, outputs };
}

export const flagsOf = (golden: Golden, name: string) => {
  const raw = given(golden.inputs, name);
  return { flags: toFloat32(raw), batch: raw.shape[0]! };
};

/** The encoder's sizes in our keys. */
export function encoderConfig({ config }: Golden) {
  const transformer = config.transformer_config;
  return {
    groups: config.num_group,
    groupSize: config.group_size,
    embedWidths: embedWidths(config.embed_convs),
    width: transformer.trans_dim,
    depth: transformer.depth,
    heads: transformer.num_heads,
    decoderDepth: transformer.decoder_depth,
    decoderHeads: transformer.decoder_num_heads,
    epsilon: config.layernorm_eps ?? 1e-5,
    maskRatio: transformer.mask_ratio,
  };
}

const embedWidths = (widths: number[] = [128, 256, 512]) =>
  [widths[0]!, widths[1]!, widths[2]!] as [number, number, number];

/** Gradients of the total loss by path; buffers afterwards as outputs. */
export function trainedOnce(params: object, total: () => tf.Scalar) {
  const variables = trainable(params);
  const { grads } = applyBufferUpdates(() => tf.variableGrads(total, [...variables.values()]));
  const gradients = new Map<string, Values>(
    [...variables].map(([path, variable]) => [path, grads[variable.name] ?? tf.zerosLike(variable)]),
  );
  const buffers = [...flatten(params)].filter(([, { trainable: trained }]) => !trained);
  return {
    gradients,
    buffers: new Map<string, Values>(buffers.map(([path, variable]) => [`buffers_after.${path}`, variable])),
  };
}

/** Of the mini PointNet: what shifts all values of a channel in front of a batch norm moves no loss. */
export const biasesBeforeNorm = new Map(
  ["first_conv.0", "first_conv.3", "second_conv.0"].map((layer) => [
    `MAE_encoder.encoder.${layer}.bias`,
    "the batch norm takes it out again",
  ]),
);
