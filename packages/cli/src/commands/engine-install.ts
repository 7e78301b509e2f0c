import { installTensorflow } from "@unmask/core/node";
import { createOutput, type OutputOptions } from "../output.js";

export interface EngineInstallOptions extends OutputOptions {
  readonly gpu?: boolean;
  readonly python?: string;
  readonly wheel?: string;
  readonly route?: "wheel" | "script";
}

export async function installEngine(_: string, options: EngineInstallOptions): Promise<number> {
  const output = createOutput(options);
  const installed = await installTensorflow({ ...options, log: output.note });
  output.event({ type: "installed", ...installed });
  const { tensorflow, already } = installed;
  output.result(
    `TensorFlow ${tensorflow} ${already ? "was in order already" : "computes"} in ${installed.package}`,
  );
  return 0;
}
