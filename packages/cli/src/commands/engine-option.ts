import type { EngineInfo, startEngine } from "@unmask/core";
import type { Output } from "../output.js";

export interface EngineOption {
  /** As `startEngine` takes it; it says which there are. */
  readonly engine?: Parameters<typeof startEngine>[0];
}

export function noteEngine(output: Output, { name, version, threads, passedOver }: EngineInfo): void {
  const with_ = threads === undefined ? "" : `, ${threads} thread${threads > 1 ? "s" : ""}`;
  output.note(`engine ${name} ${version.backend}${with_}`);
  const native = passedOver.find((engine) => engine.name === "native");
  if (native !== undefined)
    output.note(`a faster engine was passed over: ${native.reason}; see "unmask doctor"`);
}
