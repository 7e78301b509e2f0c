/** Audio models from and to the files of the official AudioMAE code. */
import {
  type ForeignFormat,
  type ForeignModel,
  type ImportedForeign,
  type Keys,
  UnmaskError,
} from "@unmask/core";
import { audioStateDictKind, importAudioMae, importAudioVit } from "../checkpoints/official.js";
import { audioMae } from "../methods/audio-mae.js";
import { audioVit } from "../methods/audio-vit.js";

/** @param hints keys of our config that the files leave open or that shall differ, such as the number of heads */
export function importAudioModel({ parameters }: ForeignModel, hints: Keys): ImportedForeign {
  if (audioStateDictKind(parameters) === "audio-mae")
    return { method: audioMae, ...importAudioMae(parameters, hints), optional: [] };
  return { method: audioVit, ...importAudioVit(parameters, hints), optional: ["head.", "fc_norm."] };
}

type Exported = ForeignModel & { readonly method: string; readonly config: object };

/** State dicts of the official code have our names. */
export function exportAudioModel({ method, parameters }: Exported, format: ForeignFormat): ForeignModel {
  if (format !== "official" || ![audioMae.id, audioVit.id].includes(method))
    throw new UnmaskError(`export: ${method} has no ${format} layout; export it as a model folder`);
  return { parameters };
}
