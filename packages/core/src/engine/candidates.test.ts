import { afterEach, describe, expect, it, vi } from "vitest";
import { candidatesFor, requestedThreads } from "./candidates.js";

afterEach(() => vi.unstubAllEnvs());

describe("candidatesFor", () => {
  it("orders the engines by speed", () => {
    const labels = (platform: "node" | "browser") => candidatesFor(platform, {}).map(({ label }) => label);
    expect(labels("node")).toEqual(["tensorflow-gpu", "native", "tensorflow", "wasm", "cpu"]);
    expect(labels("browser")).toEqual(["webgpu", "webgl", "wasm", "cpu"]);
  });
});

describe("requestedThreads", () => {
  it("reads UNMASK_THREADS, and the option before it", () => {
    vi.stubEnv("UNMASK_THREADS", "3");
    expect(requestedThreads({})).toBe(3);
    expect(requestedThreads({ threads: 5 })).toBe(5);
    vi.stubEnv("UNMASK_THREADS", "");
    expect(requestedThreads({})).toBeUndefined();
  });

  it.each(["0", "-1", "1.5", "many"])("refuses %s threads", (value) => {
    vi.stubEnv("UNMASK_THREADS", value);
    expect(() => requestedThreads({})).toThrow(`at least 1, got ${value}`);
  });
});
