import type { Classifier, Method } from "@unmask/core";
import { installedModalities, loadModality, MODALITIES, type ModalityName } from "../modalities.js";
import { createOutput, type OutputOptions } from "../output.js";

export async function methods(name: ModalityName | undefined, options: OutputOptions): Promise<number> {
  const output = createOutput(options);
  const packages = name === undefined ? await installedModalities() : [await loadModality(name)];
  for (const { name: modality, methods: list } of packages) {
    output.result(`${modality} (@unmask/${modality})`);
    for (const method of list) {
      const { id, summary, paper, presets } = method;
      const sizes = Object.keys(presets);
      output.event({
        type: "method",
        modality,
        id,
        summary,
        paper,
        presets: sizes,
        command: commandOf(method),
      });
      output.result(`  ${id}: ${summary}`);
      output.result(`      ${paper}`);
      output.result(`      ${commandOf(method)}; presets ${sizes.join(", ") || "none"}`);
    }
  }
  if (name !== undefined) return 0;
  const missing = MODALITIES.filter((one) => !packages.some((found) => found.name === one));
  for (const one of missing) output.result(`${one}: npm install @unmask/${one}`);
  return 0;
}

const commandOf = (method: Method) =>
  (method as Partial<Classifier>).logits === undefined ? "unmask pretrain" : "unmask finetune";
