import { startEngine } from "@unmask/core";
import { doctor as examine, formatDoctor } from "@unmask/core/node";
import { createOutput, type OutputOptions } from "../output.js";
import type { EngineOption } from "./engine-option.js";

export async function doctor(options: OutputOptions & EngineOption): Promise<number> {
  const output = createOutput(options);
  if (options.engine !== undefined) await startEngine(options.engine);
  const report = await examine();
  output.event({ type: "doctor", ...report });
  output.result(formatDoctor(report).trimEnd());
  return 0;
}
