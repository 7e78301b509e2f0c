import { describe, expect, it } from "vitest";
import { type Candidate, chooseEngine, type EngineName } from "./choose.js";

/** A candidate that starts, or does not for the reason given; `started` records the attempts. */
function candidates(started: string[], ...list: [label: string, engine: EngineName, reason?: string][]) {
  return list.map(
    ([label, engine, reason]): Candidate => ({
      engine,
      label,
      remedy: `install ${label}`,
      async start() {
        started.push(label);
        if (reason !== undefined) throw new Error(reason);
        return { backend: engine, version: "1.2.3", threads: 2, device: "a processor" };
      },
    }),
  );
}

describe("chooseEngine", () => {
  it("takes the first that starts and says why the ones before it were passed over", async () => {
    const started: string[] = [];
    const choice = await chooseEngine(
      candidates(
        started,
        ["tensorflow-gpu", "tensorflow", "sees no GPU"],
        ["native", "native", "no compiler\nand a long trace"],
        ["tensorflow", "tensorflow"],
        ["wasm", "wasm"],
      ),
      "auto",
    );
    expect(choice.candidate.label).toBe("tensorflow");
    expect(choice.running.version).toBe("1.2.3");
    expect(choice.passedOver).toEqual([
      { name: "tensorflow-gpu", reason: "sees no GPU" },
      { name: "native", reason: "no compiler" },
    ]);
    expect(started).toEqual(["tensorflow-gpu", "native", "tensorflow"]);
  });

  it("tries only the candidates of an engine that is named", async () => {
    const started: string[] = [];
    const list = candidates(
      started,
      ["tensorflow-gpu", "tensorflow", "sees no GPU"],
      ["native", "native"],
      ["tensorflow", "tensorflow"],
    );
    expect((await chooseEngine(list, "tensorflow")).candidate.label).toBe("tensorflow");
    expect(started).toEqual(["tensorflow-gpu", "tensorflow"]);
  });

  it("names every reason and the remedy when the engine asked for does not start", async () => {
    const list = candidates([], ["wasm", "wasm", "not installed"], ["cpu", "cpu"]);
    await expect(chooseEngine(list, "wasm")).rejects.toThrow(
      'startEngine: "wasm" could not be started (wasm: not installed); install wasm',
    );
  });

  it("lists what the platform has when the engine asked for is for another one", async () => {
    const list = candidates([], ["wasm", "wasm"], ["cpu", "cpu"]);
    await expect(chooseEngine(list, "webgpu")).rejects.toThrow(
      '"webgpu" does not run on this platform; use one of wasm, cpu',
    );
  });

  it("gives every reason when nothing starts", async () => {
    const list = candidates([], ["wasm", "wasm", "no SIMD"], ["cpu", "cpu", "no memory"]);
    await expect(chooseEngine(list, "auto")).rejects.toThrow("wasm: no SIMD; cpu: no memory");
  });
});
