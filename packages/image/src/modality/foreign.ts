/** Image models from and to the files of the official MAE code, timm, DeiT and Hugging Face transformers. */
import {
  type ForeignFormat,
  type ForeignModel,
  huggingFaceClasses,
  huggingFaceColours,
  type ImportedForeign,
  type Keys,
  resolveConfig,
  toHuggingFaceColours,
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

/** What timm writes as config.json. */
const timmSchema = z.looseObject({
  architecture: z.string(),
  pretrained_cfg: z.looseObject({ mean: statistics.optional(), std: statistics.optional() }),
});

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
    classes: isHuggingFace && kind === "vit" ? huggingFaceClasses(config) : undefined,
  };
}

function normalisationOf(json: Readonly<Record<string, unknown>>): Pick<Partial<ImageInput>, "mean" | "std"> {
  const { mean, std } = timmSchema.safeParse(json["config.json"]).data?.pretrained_cfg ?? {};
  return {
    ...huggingFaceColours(json["preprocessor_config.json"]),
    ...(mean && { mean }),
    ...(std && { std }),
  };
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
    size: { height, width },
    resample: 3, // bicubic
    ...toHuggingFaceColours(mean, std),
  };
}
