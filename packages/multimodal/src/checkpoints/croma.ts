/** The published weights of CROMA: three encoders and two heads, under the names of the reference's inference code. */
import {
  expect,
  type ImportedForeign,
  type Keys,
  type RawTensor,
  resolveConfig,
  UnmaskError,
} from "@unmask/core";
import { type CromaConfig, croma } from "../methods/croma.js";

const PREFIXES = {
  s1_encoder: "radar_encoder",
  s2_encoder: "optical_encoder",
  joint_encoder: "cross_encoder",
  s1_GAP_FFN: "GAP_FFN_radar",
  s2_GAP_FFN: "GAP_FFN_optical",
} as const;

/** What only pretraining has. */
export const CROMA_PRETRAINING_ONLY = ["decoder.", "global_contrast_loss."];

/** Whether a state dict is one of those, or one of the pretraining code. */
export function isCroma(parameters: ReadonlyMap<string, RawTensor>): boolean {
  return ["s2_encoder", "optical_encoder"].some((name) => parameters.has(`${name}.linear_input.weight`));
}

/** Our name, which is that of the pretraining code, of a published parameter. */
export function cromaPath(name: string): string {
  const [head = "", ...rest] = name.split(".");
  const prefix = PREFIXES[head as keyof typeof PREFIXES];
  if (prefix === undefined) return name;
  const path = [prefix, ...rest].join(".");
  if (head.endsWith("GAP_FFN")) return path;
  const isCross = /^cross_encoder\.layers\.\d+\.1\./.test(path);
  return path
    .replace(/\.to_(qkv|q|k|v)\./, ".create_$1.")
    .replace(/\.to_out\./, isCross ? ".to_out." : ".out.")
    .replace(/\.net\.3\./, ".net.2."); // a dropout stands between in the inference code
}

/**
 * Config and parameters of the published weights, or of a state dict of the pretraining code.
 * @param hints keys of the config that files do not tell: the number of heads, where it is not the published 16
 */
export function importCroma(
  parameters: ReadonlyMap<string, RawTensor>,
  hints: Keys = {},
): ImportedForeign & { readonly config: CromaConfig } {
  const renamed = new Map([...parameters].map(([name, raw]) => [cromaPath(name), raw]));
  const shape = (name: string) => {
    const raw = renamed.get(name);
    if (raw === undefined)
      throw new UnmaskError(`croma import: there is no ${name}; is the file one of CROMA's?`);
    return raw.shape;
  };
  const layers = [...renamed.keys()].flatMap((name) => {
    const found = /^optical_encoder\.transformer\.layers\.(\d+)\./.exec(name);
    return found ? [Number(found[1]) + 1] : [];
  });
  const [width, opticalValues] = shape("optical_encoder.linear_input.weight") as [number, number];
  const patchSize = typeof hints.patchSize === "number" ? hints.patchSize : 8;
  const radarValues = shape("radar_encoder.linear_input.weight")[1]!;
  const table = renamed.get("decoder.decoder_pos_embed")?.shape;
  const side = table && Math.sqrt(table[1]!) * patchSize;
  const config = resolveConfig(croma, {
    patchSize,
    opticalBands: opticalValues / patchSize ** 2,
    radarBands: radarValues / patchSize ** 2,
    width,
    depth: Math.max(0, ...layers),
    ...(table && { decoderWidth: table[2]! }),
    ...(side && Number.isInteger(side) && { imageSize: side }),
    ...hints,
  } as Parameters<typeof resolveConfig<typeof croma>>[1]) as CromaConfig;
  expect(
    Number.isInteger(config.opticalBands) && Number.isInteger(config.radarBands),
    `croma import: ${opticalValues} and ${radarValues} values a patch are not whole numbers of bands; give patchSize`,
  );
  return { method: croma, config, parameters: renamed, optional: CROMA_PRETRAINING_ONLY };
}
