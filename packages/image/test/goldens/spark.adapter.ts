/**
 * keyu-tian/SparK: its ConvNeXt, and a small residual network of the recording that its own code made sparse. A ConvNeXt of
 * the reference has the names of its first publication, ours those of timm.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyBufferUpdates,
  type BatchNormParams,
  buffer,
  type ConvParams,
  createRandom,
  flatten,
  type Mask,
  maskFromOrders,
  normaliseJoint,
  parameter,
  patchify,
  type RawTensor,
  toFloat32,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import {
  decode,
  densify,
  initSparkDecoder,
  roundHalfToEven,
  type SparkDecoderParams,
  sparkLoss,
} from "../../src/methods/spark.js";
import { type ConvNextParams, convnextMaps, initConvNext } from "../../src/nn/convnext.js";
import {
  type ActivePlaces,
  activePlaces,
  type MapOptions,
  mapBatchNorm,
  mapConv,
  mapMaxPool,
} from "../../src/nn/feature-map.js";
import { initResNet, resnetMaps, resnetWidths } from "../../src/nn/resnet.js";
import { gradientsOf, images } from "./support.js";

const ENCODER = "sparse_encoder.sp_cnn.";

interface Encoder {
  readonly params: object;
  /** Channels of its maps, largest map first. */
  readonly widths: readonly number[];
  maps(images: tf.Tensor4D, options: MapOptions): tf.Tensor4D[];
}

const shapeOf = (golden: Golden, path: string) => golden.params.get(ENCODER + path)?.shape as number[];

/** The ConvNeXt of the recording, sized by its parameters. */
function convNext(golden: Golden): Encoder {
  const stages = [0, 1, 2, 3];
  const widths = stages.map((stage) => shapeOf(golden, `stages.${stage}.0.gamma`)[0]!);
  const blocks = stages.map((stage) => {
    let count = 0;
    while (golden.params.has(`${ENCODER}stages.${stage}.${count}.gamma`)) count++;
    return count;
  });
  const [, channels, stemPatch] = shapeOf(golden, "downsample_layers.0.0.weight") as [number, number, number];
  const params: ConvNextParams = initConvNext(createRandom(0), {
    ...{ channels, widths, blocks, stemPatch },
    layerScale: 1,
  });
  return {
    params,
    widths,
    maps: (pixels, options) => convnextMaps(params, { stemPatch }, pixels, options),
  };
}

/** A ResNet of timm, sized by its parameters. */
function timmResNet(golden: Golden): Encoder {
  const blocks = [1, 2, 3, 4].map((stage) => {
    let count = 0;
    while (golden.params.has(`${ENCODER}layer${stage}.${count}.conv1.weight`)) count++;
    return count;
  });
  const [width, channels, side] = shapeOf(golden, "conv1.weight") as [number, number, number];
  const bottleneck = golden.params.has(`${ENCODER}layer1.0.conv3.weight`);
  const shape = { channels, width, blocks, bottleneck, stem: side === 3 ? "small" : "imagenet" } as const;
  const params = initResNet(createRandom(0), shape);
  return {
    params,
    widths: resnetWidths(shape),
    maps: (pixels, options) => resnetMaps(params, shape, pixels, options),
  };
}

/** From the reference's names to timm's. */
const timmName = (name: string) =>
  name
    .replace(/sp_cnn\.stages\.(\d+)\.(\d+)\./, "sp_cnn.stages.$1.blocks.$2.")
    .replace("sp_cnn.downsample_layers.0.", "sp_cnn.stem.")
    .replace(/sp_cnn\.downsample_layers\.(\d+)\./, "sp_cnn.stages.$1.downsample.")
    .replace(".dwconv.", ".conv_dw.")
    .replace(".pwconv", ".mlp.fc");

interface ResidualBlock {
  readonly conv1: ConvParams;
  readonly bn1: BatchNormParams;
  readonly conv2: ConvParams;
  readonly bn2: BatchNormParams;
  readonly down?: Readonly<Record<0, ConvParams> & Record<1, BatchNormParams>>;
}

interface ResidualNetwork {
  readonly conv1: ConvParams;
  readonly bn1: BatchNormParams;
  readonly [layer: `layer${number}`]: ResidualBlock;
}

/** The small network that `encoder` describes: a stem, then one block a stage. */
function residualNetwork(golden: Golden): Encoder {
  const params = treeOf(golden) as ResidualNetwork;
  const blocks: ResidualBlock[] = [];
  for (let i = 1; `layer${i}` in params; i++) blocks.push(params[`layer${i}`]!);
  const described = /strides ([\d,]+)/.exec(golden.config.encoder)?.[1]?.split(",").map(Number);
  const strides = described ?? blocks.map((_, i) => (i === 0 ? 1 : 2));
  const relu = (x: tf.Tensor) => tf.relu(x) as tf.Tensor4D;
  return {
    params,
    widths: blocks.map(({ conv2 }) => conv2.weight.shape[0]!),
    maps(pixels, options) {
      const stem = mapConv(params.conv1, pixels, { stride: 2, padding: 1 }, options);
      const normal = relu(mapBatchNorm(params.bn1, stem, options));
      let x = mapMaxPool(normal, { size: 3, stride: 2, padding: 1 }, options);
      return blocks.map(({ conv1, bn1, conv2, bn2, down }, i) => {
        const first = mapConv(conv1, x, { stride: strides[i], padding: 1 }, options);
        const second = mapConv(conv2, relu(mapBatchNorm(bn1, first, options)), { padding: 1 }, options);
        const shortcut =
          down === undefined
            ? x
            : mapBatchNorm(down[1], mapConv(down[0], x, { stride: strides[i] }, options), options);
        x = relu(tf.add(shortcut, mapBatchNorm(bn2, second, options)));
        return x;
      });
    },
  };
}

/** Variables under the recorded names of the encoder. */
function treeOf(golden: Golden): object {
  const root: Record<string, unknown> = {};
  const put = (path: string, variable: tf.Variable) => {
    const keys = path.split(".");
    const last = keys.pop()!;
    let node = root;
    for (const key of keys) {
      node[key] ??= {};
      node = node[key] as Record<string, unknown>;
    }
    node[last] = variable;
  };
  const zeros = ({ shape }: RawTensor) => tf.zeros([...shape]);
  for (const [name, raw] of golden.params)
    if (name.startsWith(ENCODER)) put(name.slice(ENCODER.length), parameter(zeros(raw)));
  for (const [name, raw] of golden.buffers)
    if (name.startsWith(ENCODER))
      put(
        name.slice(ENCODER.length),
        buffer(name.endsWith("num_batches_tracked") ? tf.scalar(0, "int32") : zeros(raw)),
      );
  return root;
}

function sparkMask(golden: Golden): Mask {
  const noise = given(golden.inputs, "noise");
  const [batch, tokens] = noise.shape as [number, number];
  const values = toFloat32(noise);
  const orders = Int32Array.from({ length: batch * tokens }, (_, i) => i % tokens);
  for (let b = 0; b < batch; b++)
    orders
      .subarray(b * tokens, (b + 1) * tokens)
      .sort((i, j) => values[b * tokens + i]! - values[b * tokens + j]! || i - j);
  return maskFromOrders(orders, batch, roundHalfToEven(tokens * (1 - golden.config.mask_ratio)));
}

function cells(mask: Mask, [rows, columns]: readonly [number, number]): tf.Tensor4D {
  const flags = Float32Array.from(mask.restore, (place) => (place < mask.kept ? 1 : 0));
  return tf.tensor4d(flags, [mask.batch, rows, columns, 1]);
}

function encoderOf(golden: Golden): Encoder {
  const has = (path: string) => golden.params.has(ENCODER + path);
  if (has("downsample_layers.0.0.weight")) return convNext(golden);
  return has("layer1.0.conv1.weight") ? timmResNet(golden) : residualNetwork(golden);
}

function run(golden: Golden): GoldenResult {
  const { decoder_width: width, densify_norm: norm, downsample } = golden.config;
  const pixels = images(given(golden.inputs, "imgs"));
  const mask = sparkMask(golden);
  const cell = [downsample, downsample] as const;
  const grid = [pixels.shape[1] / downsample, pixels.shape[2] / downsample] as const;
  const encoder = encoderOf(golden);
  const decoder: SparkDecoderParams = initSparkDecoder(createRandom(0), {
    widths: encoder.widths,
    width,
    doublings: Math.log2(downsample),
    channels: pixels.shape[3],
    norm: norm === "bn" ? "batch" : "layer",
  });
  const params = { sparse_encoder: { sp_cnn: encoder.params }, ...decoder };
  const ours = new Map([...golden.params, ...golden.buffers].map(([name, raw]) => [timmName(name), raw]));
  writeParameters(params, ours);

  const forward = () => {
    const active: ActivePlaces = activePlaces(cells(mask, grid));
    const shown = tf.mul(pixels, active.at(pixels.shape[1], pixels.shape[2])) as tf.Tensor4D;
    const maps = encoder.maps(shown, { training: true, active });
    const dense = densify(decoder, maps, { training: true, active });
    return { maps, dense, picture: decode(decoder, dense, { training: true }) };
  };
  const gradients = gradientsOf(params, () => sparkLoss(forward().picture, pixels, cell, mask));
  const { maps, dense, picture } = applyBufferUpdates(forward);
  const first = (map: tf.Tensor) => tf.transpose(map, [0, 3, 1, 2]);
  const outputs = new Map<string, Values>([
    ["active", first(cells(mask, grid))],
    ["rec", first(picture)],
    ["rec_patches", patchify(picture, cell)],
    ["target", normaliseJoint(patchify(pixels, cell))],
    ["total_loss", sparkLoss(picture, pixels, cell, mask)],
  ]);
  for (const [i, map] of maps.entries()) outputs.set(`enc_feat${i}`, first(map));
  for (const [i, map] of dense.entries()) outputs.set(`to_dec${i}`, first(map));
  const flat = flatten(params);
  for (const name of golden.buffers.keys()) outputs.set(`buffers_after.${name}`, flat.get(timmName(name))!);
  const theirs = [...golden.gradients.keys()].map((name) => [name, gradients.get(timmName(name))!] as const);
  return { outputs, gradients: new Map(theirs) };
}

export const sparkAdapter: GoldenAdapter = { accepts: ({ method }) => method === "SparK", run };
