import { extname } from "node:path";
import { readParameters, startEngine } from "@unmask/core";
import { saveModel } from "@unmask/core/node";
import { UsageError } from "../errors.js";
import { writeForeignFolder, writeStateDict } from "../foreign-files.js";
import { openModel } from "../models.js";
import { createOutput, type OutputOptions } from "../output.js";
import type { EngineOption } from "./engine-option.js";

export interface ExportOptions extends OutputOptions, EngineOption {
  readonly out: string;
  readonly format?: "official" | "huggingface" | "model";
}

export async function exportModel(path: string, options: ExportOptions): Promise<number> {
  const { out, format = [".pth", ".pt", ".safetensors"].includes(extname(out)) ? "official" : "model" } =
    options;
  const output = createOutput(options);
  await startEngine(options.engine);
  const { description, modality, model } = await openModel(path);
  try {
    const { classes } = description;
    if (format === "model") await saveModel(model, out, { classes });
    else {
      if (modality.exportModel === undefined)
        throw new UsageError(`@unmask/${modality.name} writes no ${format} files; use --format model`);
      const parameters = await readParameters(model.params);
      const { method, config } = model;
      const foreign = modality.exportModel({ method: method.id, config, classes, parameters }, format);
      if (format === "official") await writeStateDict(out, foreign);
      else await writeForeignFolder(out, foreign);
    }
    output.event({ type: "exported", path: out, format, method: model.method.id });
    output.result(`${model.method.id} of ${path}, ${format} layout: ${out}`);
    return 0;
  } finally {
    model.dispose();
  }
}
