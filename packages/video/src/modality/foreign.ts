/** Video models from and to the files of the official VideoMAE code and Hugging Face transformers. */
import {
  type ForeignFormat,
  type ForeignModel,
  huggingFaceClasses,
  huggingFaceColours,
  type ImportedForeign,
  type Keys,
  toHuggingFaceColours,
  UnmaskError,
} from "@unmask/core";
import type { VideoInput } from "../batch.js";
import {
  exportHuggingFaceVideoMaeConfig,
  exportHuggingFaceVideoState,
  exportHuggingFaceVideoVitConfig,
  importHuggingFaceVideoMae,
  importHuggingFaceVideoVit,
  isHuggingFaceVideoMae,
} from "../checkpoints/hugging-face.js";
import { importVideoMae, importVideoVit, stateDictKind } from "../checkpoints/official.js";
import { type VideoMaeConfig, videoMae } from "../methods/video-mae.js";
import { type VideoVitConfig, videoVit } from "../methods/video-vit.js";

/** @param hints keys of our config that the files leave open or that shall differ, such as the number of heads */
export function importVideoModel({ parameters, json = {} }: ForeignModel, hints: Keys): ImportedForeign {
  const config = json["config.json"];
  const settled = { ...huggingFaceColours(json["preprocessor_config.json"]), ...hints };
  const kind = stateDictKind(parameters);
  if (isHuggingFaceVideoMae(config)) {
    const imported =
      kind === "video-mae"
        ? importHuggingFaceVideoMae(config, parameters, settled)
        : importHuggingFaceVideoVit(config, parameters, settled);
    return {
      ...common(kind),
      ...imported,
      classes: kind === "video-vit" ? huggingFaceClasses(config) : undefined,
    };
  }
  const imported =
    kind === "video-mae" ? importVideoMae(parameters, settled) : importVideoVit(parameters, settled);
  return { ...common(kind), ...imported };
}

const common = (kind: "video-mae" | "video-vit") =>
  kind === "video-mae"
    ? { method: videoMae, optional: [] }
    : { method: videoVit, optional: ["head.", "fc_norm.", "norm."] };

type Exported = ForeignModel & {
  readonly method: string;
  readonly config: object;
  readonly classes?: readonly string[];
};

/** State dicts of the official code have our names; transformers' have their own, and a config beside them. */
export function exportVideoModel(
  { method, config, classes, parameters }: Exported,
  format: ForeignFormat,
): ForeignModel {
  const kind = method === videoMae.id ? "video-mae" : method === videoVit.id ? "video-vit" : undefined;
  if (kind === undefined)
    throw new UnmaskError(`export: ${method} has no ${format} layout; export it as a model folder`);
  if (format === "official") return { parameters };
  return {
    parameters: exportHuggingFaceVideoState(parameters, kind),
    json: {
      "config.json":
        kind === "video-mae"
          ? exportHuggingFaceVideoMaeConfig(config as VideoMaeConfig)
          : exportHuggingFaceVideoVitConfig(config as VideoVitConfig, classes),
      "preprocessor_config.json": preprocessorConfig(config as VideoInput),
    },
  };
}

function preprocessorConfig({ imageSize: [height, width], mean, std }: VideoInput) {
  return {
    image_processor_type: "VideoMAEImageProcessor",
    size: { shortest_edge: Math.min(height, width) },
    do_center_crop: true,
    crop_size: { height, width },
    resample: 2, // bilinear
    ...toHuggingFaceColours(mean, std),
  };
}
