/** Decoders of node features: one graph layer, or none of the graph at all. */
import type * as tf from "@tensorflow/tfjs";
import { applyLinear, dropout, gatherAny, type LinearParams, type Random } from "@unmask/core";
import { applyGnn, type GnnKind, type GnnParams, type GnnPass, type GnnShape, initGnn } from "./gnn.js";
import {
  type ActivationParams,
  applyActivation,
  type GraphActivation,
  type GraphNorm,
  initActivation,
  torchLinear,
} from "./parts.js";

export type DecoderKind = GnnKind | "mlp" | "linear";

/** Linear, PReLU, dropout, linear; numbered as the reference's sequence is. */
interface MlpDecoderParams {
  readonly 0: LinearParams;
  readonly 1: ActivationParams;
  readonly 3: LinearParams;
}

export type DecoderParams = GnnParams | MlpDecoderParams | LinearParams;

interface DecoderConfig {
  readonly decoder: DecoderKind;
  readonly features: number;
  readonly width: number;
  readonly norm: GraphNorm;
  readonly activation: GraphActivation;
}

function gnnShape({ features, width, norm, activation }: DecoderConfig, kind: GnnKind): GnnShape {
  return {
    ...{ kind, width, hidden: width, out: features, layers: 1, heads: 1 },
    ...{ residual: false, norm, activation, encoding: false },
  };
}

export function initDecoder(random: Random, config: DecoderConfig): DecoderParams {
  const { decoder, features, width } = config;
  switch (decoder) {
    case "mlp":
      return {
        0: torchLinear(random, width, width),
        1: initActivation("prelu"),
        3: torchLinear(random, width, features),
      };
    case "linear":
      return torchLinear(random, width, features);
    default:
      return initGnn(random, gnnShape(config, decoder));
  }
}

/** [N, width] -> [N, F], or a row for each node of `only` */
export function applyDecoder(
  params: DecoderParams,
  config: DecoderConfig,
  codes: tf.Tensor,
  pass: GnnPass,
): tf.Tensor {
  const { only, training } = pass;
  const pick = (rows: tf.Tensor) => (only === undefined ? rows : gatherAny(rows, only.nodes));
  if ("weight" in params) return applyLinear(params, pick(codes));
  if (0 in params) {
    const hidden = applyActivation("prelu", params[1], applyLinear(params[0], pick(codes)));
    // The reference drops 0.2 here, whatever the other layers drop.
    const kept = training && training.featureDropout > 0 ? dropout(hidden, 0.2, training.seed) : hidden;
    return applyLinear(params[3], kept);
  }
  const shape = gnnShape(config, config.decoder as GnnKind);
  if ("gat_layers" in params) return applyGnn(params, shape, codes, pass)[0]!;
  return pick(applyGnn(params, shape, codes, { ...pass, only: undefined })[0]!);
}
