import { createModel, startEngine, UnmaskError, writeParameters } from "@unmask/core";
import { saveModel } from "@unmask/core/node";
import { applySettings } from "../config/sections.js";
import { UsageError } from "../errors.js";
import { readForeign } from "../foreign-files.js";
import { loadModality, type ModalityName } from "../modalities.js";
import { createOutput, listed, type OutputOptions } from "../output.js";
import type { EngineOption } from "./engine-option.js";

export interface ImportOptions extends OutputOptions, EngineOption {
  readonly out: string;
  readonly set?: string[];
}

export async function importModel(name: ModalityName, path: string, options: ImportOptions): Promise<number> {
  const output = createOutput(options);
  const modality = await loadModality(name);
  if (modality.importModel === undefined)
    throw new UsageError(`@unmask/${name} reads no checkpoints of other libraries`);
  const nothing = { model: {}, data: {}, train: {} };
  const unknown = { model: undefined, data: [], train: [] };
  const settings = (options.set ?? []).map((setting) => `model.${setting.replace(/^model\./, "")}`);
  const hints = applySettings(settings, nothing, unknown).model;
  const { method, config, parameters, optional, classes } = modality.importModel(
    await readForeign(path),
    hints,
  );
  await startEngine(options.engine);
  const model = createModel(method, config);
  try {
    const { missing, unexpected } = writeParameters(model.params, parameters, { strict: false });
    const lacking = missing.filter((one) => !optional.some((beginning) => one.startsWith(beginning)));
    if (lacking.length > 0 || unexpected.length > 0)
      throw new UnmaskError(
        `import: ${path} is not a ${method.id}: ${lacking.length > 0 ? `lacks ${listed(lacking)}; ` : ""}${unexpected.length > 0 ? `has besides ${listed(unexpected)}; ` : ""}nothing was written`,
      );
    await saveModel(model, options.out, { classes });
    output.event({ type: "imported", path: options.out, method: method.id, config, initialised: missing });
    if (missing.length > 0) output.result(`not in the files, new: ${missing.join(", ")}`);
    output.result(`${method.id}: ${options.out}`);
    return 0;
  } finally {
    model.dispose();
  }
}
