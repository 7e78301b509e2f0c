/** Runs a suite on every engine that this machine has. */
import { type EngineName, startEngine } from "@unmask/core";
import { beforeAll, describe } from "vitest";

const inNode = ["cpu", "wasm", "native", "tensorflow"] as const satisfies readonly EngineName[];

export interface Availability {
  readonly available: readonly EngineName[];
  readonly missing: readonly { readonly name: EngineName; readonly reason: string }[];
}

let probed: Promise<Availability> | undefined;

/** Which engines start in this process, and why the others do not. Asked once; cpu is the one running afterwards. */
export function probeEngines(): Promise<Availability> {
  probed ??= probe();
  return probed;
}

/** The names of the engines that start in this process, cpu first. */
export async function availableEngines(): Promise<readonly EngineName[]> {
  return (await probeEngines()).available;
}

/**
 * `describe(name)` once for each engine available, with that engine running during its tests:
 * `await onEveryEngine("layerNorm", (engine) => { it(...) })`. Says on the console which engines are not available.
 */
export async function onEveryEngine(name: string, body: (engine: EngineName) => void): Promise<void> {
  const { available } = await probeEngines();
  describe.each(available)(`${name} on %s`, (engine) => {
    beforeAll(() => startEngine(engine));
    body(engine);
  });
}

async function probe(): Promise<Availability> {
  const available: EngineName[] = [];
  const missing: { name: EngineName; reason: string }[] = [];
  for (const name of inNode)
    await startEngine(name).then(
      () => available.push(name),
      (error: Error) => missing.push({ name, reason: error.message }),
    );
  await startEngine("cpu");
  for (const { name, reason } of missing) console.info(`engine ${name} is not available here: ${reason}`);
  return { available, missing };
}
