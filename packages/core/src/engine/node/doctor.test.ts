import * as tf from "@tensorflow/tfjs";
import { describe, expect, it } from "vitest";
import { startEngine } from "../engine.js";
import { type DoctorReport, doctor, formatDoctor, measureMatmul } from "./doctor.js";

describe("measureMatmul", () => {
  it("shrinks the product on a slow engine and leaves no tensor behind", async () => {
    await startEngine("cpu");
    const before = tf.memory().numTensors;
    const rate = await measureMatmul({ products: 3, seconds: 0.01 });
    expect(rate.size).toBe(128);
    expect(rate.products).toBeGreaterThan(0);
    expect(rate.gflops).toBeGreaterThan(0);
    expect(rate.relativeError).toBeGreaterThan(0);
    expect(rate.relativeError).toBeLessThan(1e-6);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("doctor", () => {
  it("reports the engine that runs and the packages that are there", async () => {
    await startEngine("wasm");
    const report = await doctor();
    expect(report.engine).toMatchObject({ name: "wasm", threads: 1 });
    expect(report.processor.cores).toBeGreaterThan(0);
    const versions = new Map(report.packages.map(({ name, version }) => [name, version]));
    expect(versions.get("@tensorflow/tfjs-backend-wasm")).toMatch(/^4\./);
    expect(versions.has("@tensorflow/tfjs-node-gpu")).toBe(true);
  });
});

describe("formatDoctor", () => {
  const report: DoctorReport = {
    node: "v20.11.0",
    platform: "linux x64",
    processor: { model: "Example 9000", cores: 8 },
    memory: { total: 16 * 2 ** 30, free: 2 ** 30 },
    engine: {
      name: "wasm",
      version: { tfjs: "4.22.0", backend: "4.22.0" },
      threads: 1,
      device: "Example 9000, SIMD",
      passedOver: [
        { name: "native", reason: "@unmask/native is not installed" },
        { name: "tensorflow", reason: "@tensorflow/tfjs-node is not installed" },
      ],
    },
    matmul: { size: 1024, products: 9, gflops: 43.21, relativeError: 2.414e-3 },
    packages: [{ name: "@unmask/image", version: "0.1.0" }, { name: "@unmask/video" }],
  };

  it("is a table for a terminal", () => {
    expect(formatDoctor(report)).toBe(
      `node         v20.11.0, linux x64
processor    Example 9000, 8 cores
memory       16.0 GiB, 1.0 GiB free
engine       wasm 4.22.0, 1 thread, on Example 9000, SIMD
tfjs         4.22.0
matmul       43.2 GFLOP/s (1024x1024, median of 9), relative error 2.4e-3
passed over  native: @unmask/native is not installed
             tensorflow: @tensorflow/tfjs-node is not installed
package      @unmask/image 0.1.0
             @unmask/video not installed
`,
    );
  });

  it("leaves the threads out on a GPU", () => {
    const engine = { ...report.engine, name: "webgpu" as const, threads: undefined, device: "WebGPU" };
    expect(formatDoctor({ ...report, engine })).toContain("webgpu 4.22.0, on WebGPU\n");
  });
});
