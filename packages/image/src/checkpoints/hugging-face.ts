/**
 * Hugging Face transformers' `vit_mae` and `vit` directories (config.json, model.safetensors): names and layouts on
 * disk, in both directions. Queries, keys and values are three matrices there and one packed matrix here; everything
 * else is a matter of names. transformers 5 names its modules anew but writes the names below.
 */
import {
  expect,
  hiddenWidth,
  huggingFaceActivation,
  joinRows,
  parseHuggingFaceConfig,
  type RawTensor,
  resolveConfig,
  splitRows,
  squareSide,
  toHuggingFaceActivation,
  toHuggingFaceClasses,
} from "@unmask/core";
import { z } from "zod";
import { type MaeConfig, mae } from "../methods/mae.js";
import { type VitConfig, vit } from "../methods/vit.js";
import type { ImportedModel, StateDict } from "./official.js";

const size = z.union([z.int().positive(), z.tuple([z.int().positive(), z.int().positive()])]);

const commonShape = {
  hidden_size: z.int().positive(),
  num_hidden_layers: z.int().positive(),
  num_attention_heads: z.int().positive(),
  intermediate_size: z.int().positive(),
  hidden_act: huggingFaceActivation,
  layer_norm_eps: z.number().positive().default(1e-12),
  image_size: size.default(224),
  patch_size: size.default(16),
  num_channels: z.int().positive().default(3),
  qkv_bias: z.boolean().default(true),
};

const maeSchema = z.looseObject({
  ...commonShape,
  model_type: z.literal("vit_mae"),
  decoder_num_attention_heads: z.int().positive(),
  decoder_hidden_size: z.int().positive(),
  decoder_num_hidden_layers: z.int().positive(),
  decoder_intermediate_size: z.int().positive(),
  mask_ratio: z.number(),
  norm_pix_loss: z.boolean(),
});

const vitSchema = z.looseObject({
  ...commonShape,
  model_type: z.literal("vit"),
  id2label: z.record(z.string(), z.string()).optional(),
  num_labels: z.int().positive().optional(),
});

type Common = z.infer<z.ZodObject<typeof commonShape>>;

const commonConfig = (config: Common) => ({
  imageSize: config.image_size,
  patchSize: config.patch_size,
  channels: config.num_channels,
  width: config.hidden_size,
  depth: config.num_hidden_layers,
  heads: config.num_attention_heads,
  mlpRatio: config.intermediate_size / config.hidden_size,
  qkvBias: config.qkv_bias,
  activation: config.hidden_act,
  epsilon: config.layer_norm_eps,
});

/** Which of our methods a config.json describes. */
export function huggingFaceKind(config: unknown): "mae" | "vit" {
  const type = (config as { model_type?: unknown } | null)?.model_type;
  expect(
    type === "vit_mae" || type === "vit",
    `hugging face config: model_type ${JSON.stringify(type)} is not known here; expected "vit_mae" or "vit"`,
  );
  return type === "vit_mae" ? "mae" : "vit";
}

/** A `ViTMAEForPreTraining` directory. */
export function importHuggingFaceMae(config: unknown, state: StateDict): ImportedModel<MaeConfig> {
  const theirs = parseHuggingFaceConfig("importHuggingFaceMae", maeSchema, config);
  return {
    config: resolveConfig(mae, {
      ...commonConfig(theirs),
      decoderWidth: theirs.decoder_hidden_size,
      decoderDepth: theirs.decoder_num_hidden_layers,
      decoderHeads: theirs.decoder_num_attention_heads,
      decoderMlpRatio: theirs.decoder_intermediate_size / theirs.decoder_hidden_size,
      maskRatio: theirs.mask_ratio,
      normalisePixels: theirs.norm_pix_loss,
    }),
    parameters: packState(state),
  };
}

/** A `ViTForImageClassification` directory; the class token is read, as there. */
export function importHuggingFaceVit(config: unknown, state: StateDict): ImportedModel<VitConfig> {
  const theirs = parseHuggingFaceConfig("importHuggingFaceVit", vitSchema, config);
  const parameters = packState(state);
  const classes = parameters.get("head.weight")?.shape[0];
  return {
    config: resolveConfig(vit, {
      ...commonConfig(theirs),
      pool: "cls",
      ...(classes !== undefined && { classes }),
    }),
    parameters,
  };
}

/** Our parameters in transformers' names on disk, queries, keys and values apart. */
export function exportHuggingFaceState(parameters: StateDict, kind: "mae" | "vit"): Map<string, RawTensor> {
  const state = new Map<string, RawTensor>();
  for (const [path, raw] of parameters) {
    const packed = path.match(/^(.*)\.attn\.qkv\.(weight|bias)$/);
    if (packed === null) {
      state.set(theirName(path, kind), raw);
      continue;
    }
    const [, block, leaf] = packed as unknown as [string, string, string];
    const parts = splitRows(raw, 3);
    for (const [i, part] of ["query", "key", "value"].entries())
      state.set(`${theirName(block, kind)}.attention.attention.${part}.${leaf}`, parts[i]!);
  }
  return state;
}

/** The config.json of an autoencoder of ours, as transformers writes it. */
export function exportHuggingFaceMaeConfig(config: MaeConfig): Record<string, unknown> {
  return {
    architectures: ["ViTMAEForPreTraining"],
    model_type: "vit_mae",
    ...theirCommon(config),
    decoder_num_attention_heads: config.decoderHeads,
    decoder_hidden_size: config.decoderWidth,
    decoder_num_hidden_layers: config.decoderDepth,
    decoder_intermediate_size: hiddenWidth(config.decoderWidth, config.decoderMlpRatio),
    mask_ratio: config.maskRatio,
    norm_pix_loss: config.normalisePixels,
  };
}

/** The config.json of a classifier of ours, as transformers writes it. */
export function exportHuggingFaceVitConfig(
  config: VitConfig,
  classes?: readonly string[],
): Record<string, unknown> {
  expect(
    config.pool === "cls",
    "export: transformers' ViT reads the class token, this model averages its tokens; export the official layout",
  );
  return {
    architectures: ["ViTForImageClassification"],
    model_type: "vit",
    ...theirCommon(config),
    ...toHuggingFaceClasses(config.classes, classes),
  };
}

function theirCommon(config: MaeConfig | VitConfig) {
  return {
    hidden_size: config.width,
    num_hidden_layers: config.depth,
    num_attention_heads: config.heads,
    intermediate_size: hiddenWidth(config.width, config.mlpRatio),
    hidden_act: toHuggingFaceActivation(config.activation),
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
    initializer_range: 0.02,
    layer_norm_eps: config.epsilon,
    image_size: squareSide("image_size", config.imageSize),
    patch_size: squareSide("patch_size", config.patchSize),
    num_channels: config.channels,
    qkv_bias: config.qkvBias,
    dtype: "float32",
  };
}

/** Their names on disk, in order of specificity, and ours. */
const renames: readonly (readonly [RegExp, string])[] = [
  [/^vit\.embeddings\.cls_token$/, "cls_token"],
  [/^vit\.embeddings\.position_embeddings$/, "pos_embed"],
  [/^vit\.embeddings\.patch_embeddings\.projection\./, "patch_embed.proj."],
  [/^vit\.encoder\.layer\.(\d+)\./, "blocks.$1."],
  [/^vit\.layers\.(\d+)\./, "blocks.$1."],
  [/^vit\.layernorm\./, "norm."],
  [/^decoder\.mask_token$/, "mask_token"],
  [/^decoder\.decoder_pos_embed$/, "decoder_pos_embed"],
  [/^decoder\.decoder_(?:encoder\.layer|layers)\.(\d+)\./, "decoder_blocks.$1."],
  [/^decoder\.(decoder_(?:embed|norm|pred))\./, "$1."],
  [/^classifier\./, "head."],
];

const innerRenames: readonly (readonly [RegExp, string])[] = [
  [/\.attention\.(?:output\.dense|o_proj)\./, ".attn.proj."],
  [/\.(?:intermediate\.dense|mlp\.fc1)\./, ".mlp.fc1."],
  [/\.(?:output\.dense|mlp\.fc2)\./, ".mlp.fc2."],
  [/\.layernorm_before\./, ".norm1."],
  [/\.layernorm_after\./, ".norm2."],
];

function ourName(name: string): string {
  const outer = renames.find(([pattern]) => pattern.test(name));
  const renamed = outer === undefined ? name : name.replace(...outer);
  const inner = innerRenames.find(([pattern]) => pattern.test(renamed));
  return inner === undefined ? renamed : renamed.replace(...inner);
}

/** The name on disk of a path that is not a packed projection, or the prefix of a block. */
function theirName(path: string, kind: "mae" | "vit"): string {
  const block = path.match(/^(decoder_)?blocks\.(\d+)(?:\.(.*))?$/);
  if (block !== null) {
    const [, decoder, index, rest] = block;
    const prefix =
      decoder === undefined ? `vit.encoder.layer.${index}` : `decoder.decoder_encoder.layer.${index}`;
    if (rest === undefined) return prefix;
    const inner = rest
      .replace(/^attn\.proj\./, "attention.output.dense.")
      .replace(/^mlp\.fc1\./, "intermediate.dense.")
      .replace(/^mlp\.fc2\./, "output.dense.")
      .replace(/^norm1\./, "layernorm_before.")
      .replace(/^norm2\./, "layernorm_after.");
    return `${prefix}.${inner}`;
  }
  if (path.startsWith("decoder_") || path === "mask_token") return `decoder.${path}`;
  if (path.startsWith("head.")) return path.replace("head.", "classifier.");
  const name = path
    .replace(/^cls_token$/, "embeddings.cls_token")
    .replace(/^pos_embed$/, "embeddings.position_embeddings")
    .replace(/^patch_embed\.proj\./, "embeddings.patch_embeddings.projection.")
    .replace(/^norm\./, "layernorm.");
  expect(kind === "mae" || name !== path, `export: ${path} has no place in a Hugging Face ViT`);
  return `vit.${name}`;
}

/** Their state dict in our names, each block's three projections packed into one. */
function packState(state: StateDict): Map<string, RawTensor> {
  const ours = new Map<string, RawTensor>();
  for (const [name, raw] of state) {
    const part = name.match(/^(.*)\.attention\.(?:attention\.query|q_proj)\.(weight|bias)$/);
    if (part !== null) {
      const [, prefix, leaf] = part as unknown as [string, string, string];
      const old = name.includes(".attention.attention.");
      const parts = [
        raw,
        ...(old ? ["attention.key", "attention.value"] : ["k_proj", "v_proj"]).map((other) => {
          const found = state.get(`${prefix}.attention.${other}.${leaf}`);
          expect(
            found !== undefined && found.dtype === raw.dtype && found.shape.join() === raw.shape.join(),
            `hugging face import: ${prefix}.attention.${other}.${leaf} is missing or unlike ${name}`,
          );
          return found;
        }),
      ];
      ours.set(`${ourName(`${prefix}.`).replace(/\.$/, "")}.attn.qkv.${leaf}`, joinRows(parts));
    } else if (!/\.attention\.(?:attention\.(?:key|value)|[kv]_proj)\./.test(name))
      ours.set(ourName(name), raw);
  }
  return ours;
}
