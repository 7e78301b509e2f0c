import { writeReport } from "@unmask/core/node";
import { createOutput, type OutputOptions } from "../output.js";

export interface ReportOptions extends OutputOptions {
  readonly title?: string;
}

export async function report(run: string, options: ReportOptions): Promise<number> {
  const output = createOutput(options);
  const path = await writeReport(run, { title: options.title });
  output.event({ type: "report", path });
  output.result(path);
  return 0;
}
