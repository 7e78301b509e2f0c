/** Image models from and to the files of the official MAE code, timm, DeiT and Hugging Face transformers. */
import {
  type ForeignFormat,
  type ForeignModel,
  type ImportedForeign,
  type Keys,
  resolveConfig,
  UnmaskError,
} from "@unmask/core";
import { z } from "zod";
import type { ImageInput } from "../batch.js";
import {
  exportHuggingFaceMaeConfig,
  exportHuggingFaceState,
  exportHuggingFaceVitConfig,
  huggingFaceKind,
  importHuggingFaceMae,
  importHuggingFaceVit,
} from "../checkpoints/hugging-face.js";
import { importMae, importVit, stateDictKind } from "../checkpoints/official.js";
import { type MaeConfig, mae } from "../methods/mae.js";
import { type VitConfig, vit } from "../methods/vit.js";

const statistics = z.array(z.number()).min(1);

/** What transformers writes beside a model's config. */
const preprocessorSchema = z.looseObject({
  image_mean: statistics.optional(),
  image_std: statistics.optional(),
});

/** What timm writes as config.json. */
const timmSchema = z.looseObject({
  architecture: z.string(),
  pretrained_cfg: z.looseObject({ mean: statistics.optional(), std: statistics.optional() }),
});

const labelsSchema = z.looseObject({ id2label: z.record(z.string(), z.string()) });

/** @param hints keys of our config that the files leave open or that shall differ, such as the number of heads */
export function importImageModel({ parameters, json = {} }: ForeignModel, hints: Keys): ImportedForeign {
  const config = json["config.json"];
  const isHuggingFace = config !== undefined && !timmSchema.safeParse(config).success;
  const kind = isHuggingFace ? huggingFaceKind(config) : stateDictKind(parameters);
  const settled = { ...normalisationOf(json), ...hints };
  const imported = isHuggingFace
    ? (kind === "mae" ? importHuggingFaceMae : importHuggingFaceVit)(config, parameters)
    : (kind === "mae" ? importMae : importVit)(parameters, settled);
  const method = kind === "mae" ? mae : vit;
  return {
    method,
    config: resolveConfig<typeof mae | typeof vit>(method, { ...imported.config, ...settled } as object),
    parameters: imported.parameters,
    optional: kind === "mae" ? [] : ["head.", "fc_norm."],
    classes: isHuggingFace && kind === "vit" ? classNames(config) : undefined,
  };
}

function normalisationOf(json: Readonly<Record<string, unknown>>): Pick<Partial<ImageInput>, "mean" | "std"> {
  const timm = timmSchema.safeParse(json["config.json"]);
  const preprocessor = preprocessorSchema.safeParse(json["preprocessor_config.json"]);
  const mean = timm.data?.pretrained_cfg.mean ?? preprocessor.data?.image_mean;
  const std = timm.data?.pretrained_cfg.std ?? preprocessor.data?.image_std;
  return { ...(mean && { mean }), ...(std && { std }) };
}

function classNames(config: unknown): string[] | undefined {
  const names = labelsSchema.safeParse(config).data?.id2label;
  return names && Object.keys(names).map((_, index) => names[index] ?? `LABEL_${index}`);
}

type Exported = ForeignModel & {
  readonly method: string;
  readonly config: object;
  readonly classes?: readonly string[];
};

/** State dicts of the official code have our names; transformers' have their own, and a config beside them. */
export function exportImageModel(
  { method, config, classes, parameters }: Exported,
  format: ForeignFormat,
): ForeignModel {
  const kind = method === mae.id ? "mae" : method === vit.id ? "vit" : undefined;
  if (kind === undefined)
    throw new UnmaskError(`export: ${method} has no ${format} layout; export it as a model folder`);
  if (format === "official") return { parameters };
  return {
    parameters: exportHuggingFaceState(parameters, kind),
    json: {
      "config.json":
        kind === "mae"
          ? exportHuggingFaceMaeConfig(config as MaeConfig)
          : exportHuggingFaceVitConfig(config as VitConfig, classes),
      "preprocessor_config.json": preprocessorConfig(config as ImageInput),
    },
  };
}

function preprocessorConfig({ imageSize: [height, width], mean, std }: ImageInput) {
  return {
    image_processor_type: "ViTImageProcessor",
    do_resize: true,
    size: { height, width },
    resample: 3, // bicubic
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: mean,
    image_std: std,
  };
}
