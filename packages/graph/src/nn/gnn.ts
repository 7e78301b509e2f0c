/** Stacks of graph layers: the encoders and decoders of GraphMAE, with the reference's parameter names. */
import * as tf from "@tensorflow/tfjs";
import { dropout, type Edges, type Random } from "@unmask/core";
import { applyGatLayer, type GatLayerParams, initGatLayer } from "./gat.js";
import { applyGcnLayer, type GcnLayerParams, initGcnLayer } from "./gcn.js";
import { applyGinLayer, type GinLayerParams, initGinLayer } from "./gin.js";
import type { NodeInput } from "./node-input.js";
import type { GraphActivation, GraphNorm, GraphTraining } from "./parts.js";

export type GnnKind = "gat" | "gin" | "gcn";

export interface GnnShape {
  readonly kind: GnnKind;
  readonly width: number;
  /** Width of all hidden layers, heads together. */
  readonly hidden: number;
  /** Width of the last layer, heads together. */
  readonly out: number;
  readonly layers: number;
  /** Of every GAT layer. */
  readonly heads: number;
  readonly residual: boolean;
  readonly norm: GraphNorm;
  readonly activation: GraphActivation;
  /** The last layer of an encoder has residual, norm and activation; that of a decoder has none. */
  readonly encoding: boolean;
}

export type GnnParams =
  | { readonly gat_layers: readonly GatLayerParams[] }
  | { readonly gcn_layers: readonly GcnLayerParams[] }
  | { readonly layers: readonly GinLayerParams[] };

interface LayerShape {
  readonly width: number;
  readonly out: number;
  readonly residual: boolean;
  readonly norm: GraphNorm;
  readonly activation: GraphActivation;
  readonly last: boolean;
}

/** The reference gives a GAT of one layer no activation, even as an encoder. */
function layersOf(shape: GnnShape): LayerShape[] {
  const { kind, width, hidden, out, layers, encoding } = shape;
  return Array.from({ length: layers }, (_, l) => {
    const last = l === layers - 1;
    const full = !last || encoding;
    const active = full && !(kind === "gat" && layers === 1);
    return {
      width: l === 0 ? width : hidden,
      out: last ? out : hidden,
      residual: full && shape.residual,
      norm: full ? shape.norm : "none",
      activation: active ? shape.activation : "none",
      last,
    };
  });
}

export function initGnn(random: Random, shape: GnnShape): GnnParams {
  const { kind, heads, hidden, norm, activation } = shape;
  const layers = layersOf(shape);
  switch (kind) {
    case "gat":
      return {
        gat_layers: layers.map((layer) => initGatLayer(random, { ...layer, out: layer.out / heads, heads })),
      };
    case "gcn":
      return { gcn_layers: layers.map((layer) => initGcnLayer(random, layer)) };
    case "gin":
      // The MLPs keep norm and activation inside everywhere; what follows them goes with the norm of the last layer.
      return {
        layers: layers.map((layer) =>
          initGinLayer(random, {
            ...layer,
            ...{ hidden, norm, activation, finish: !layer.last || layer.norm !== "none" },
          }),
        ),
      };
  }
}

export interface GnnPass {
  readonly edges: Edges;
  /** Nodes that the last layer computes, by the targets of `lastEdges`: GAT alone; all nodes when absent. */
  readonly only?: { readonly nodes: Int32Array; readonly edges: Edges };
  readonly negativeSlope: number;
  readonly training?: GraphTraining;
}

/**
 * All layers, one after the other.
 * @param x [N, width], or the nodes' own features
 * @returns what each layer gives; the last of shape [N, out], or a row for each node of `only`
 */
export function applyGnn(
  params: GnnParams,
  shape: GnnShape,
  x: tf.Tensor | NodeInput,
  pass: GnnPass,
): tf.Tensor[] {
  const { only, negativeSlope, training } = pass;
  const hidden: tf.Tensor[] = [];
  let h = x;
  for (const [layer, { residual, activation, last }] of layersOf(shape).entries()) {
    const common = { edges: pass.edges, residual, activation, training: training !== undefined };
    if ("gat_layers" in params) {
      const ends = last && only !== undefined ? { edges: only.edges, targets: only.nodes } : {};
      h = applyGatLayer(params.gat_layers[layer]!, h, { ...common, ...ends, training, layer, negativeSlope });
    } else {
      const drop = training && { rate: training.featureDropout, seed: training.seed + 2 * layer };
      const input: tf.Tensor =
        h instanceof tf.Tensor ? (drop ? dropout(h, drop.rate, drop.seed) : h) : h.dense(drop);
      if ("gcn_layers" in params) h = applyGcnLayer(params.gcn_layers[layer]!, input, common);
      else h = applyGinLayer(params.layers[layer]!, input, { ...common, activation: shape.activation });
    }
    hidden.push(h);
  }
  return hidden;
}
