import { arch, availableParallelism, cpus, freemem, platform, totalmem } from "node:os";
import * as tf from "@tensorflow/tfjs";
import { createRandom } from "../../random.js";
import { type EngineInfo, startEngine } from "../engine.js";
import { findPackage } from "../project.js";

export interface MatmulRate {
  /** The products are of two matrices `[size, size]`. */
  readonly size: number;
  readonly products: number;
  /** 2 size^3 operations by the median time of a product, in 10^9 a second. */
  readonly gflops: number;
  /** Norm of a product's error, by its norm, of four rows; the factors are normal draws. */
  readonly relativeError: number;
}

export interface DoctorReport {
  readonly node: string;
  readonly platform: string;
  readonly processor: { readonly model: string; readonly cores: number };
  /** In bytes. */
  readonly memory: { readonly total: number; readonly free: number };
  readonly engine: EngineInfo;
  readonly matmul: MatmulRate;
  /** Optional packages that were looked for; without a version those that are not installed. */
  readonly packages: readonly { readonly name: string; readonly version?: string }[];
}

const optionalPackages = [
  "@unmask/native",
  "@tensorflow/tfjs-node-gpu",
  "@tensorflow/tfjs-node",
  "@tensorflow/tfjs-backend-wasm",
  ...["image", "video", "audio", "pointcloud", "graph", "multimodal"].map((name) => `@unmask/${name}`),
];

/** Starts the fastest engine (or keeps the one that is running) and says what it and the machine are. About 2 s. */
export async function doctor(): Promise<DoctorReport> {
  const engine = await startEngine();
  const found = await Promise.all(
    optionalPackages.map(async (name) => ({ name, version: (await findPackage(name))?.version })),
  );
  return {
    node: process.version,
    platform: `${platform()} ${arch()}`,
    processor: { model: cpus()[0]?.model.trim() ?? "unknown", cores: availableParallelism() },
    memory: { total: totalmem(), free: freemem() },
    engine,
    matmul: await measureMatmul(),
    packages: found,
  };
}

/**
 * The rate and the error of matrix products on the engine that is running: the median of up to `products` after a
 * warm-up, within about `seconds`. The size is 1024, or less where one such product would take too long.
 */
export async function measureMatmul({ products = 9, seconds = 1.5 } = {}): Promise<MatmulRate> {
  const share = (seconds * 1000) / products;
  let size = 128;
  // Each doubling is eight times the work; the fastest of three, as the first ones warm up.
  for (; size < 1024; size *= 2) if (Math.min(...(await timeProducts(size, 3))) * 8 > share) break;
  await timeProducts(size, 1);
  const times = await timeProducts(size, products, seconds * 1000);
  const median = times.sort((a, b) => a - b)[times.length >> 1]!;
  const gflops = (2 * size ** 3) / (median * 1e6);
  return { size, products: times.length, gflops, relativeError: await productError(size) };
}

async function productError(size: number): Promise<number> {
  const rows = 4;
  const random = createRandom(1);
  const [a, b] = [random.normals(rows * size), random.normals(size * size)];
  const product = tf.tidy(() => tf.matMul(tf.tensor2d(a, [rows, size]), tf.tensor2d(b, [size, size])));
  const computed = await product.data();
  product.dispose();
  let [wrong, whole] = [0, 0];
  for (let i = 0; i < rows * size; i++) {
    const [row, column] = [Math.floor(i / size), i % size];
    let exact = 0;
    for (let k = 0; k < size; k++) exact += a[row * size + k]! * b[k * size + column]!;
    wrong += (computed[i]! - exact) ** 2;
    whole += exact ** 2;
  }
  return Math.sqrt(wrong / whole);
}

/** Times, in milliseconds, of up to `count` products, stopping when they took `budget` together. */
async function timeProducts(
  size: number,
  count: number,
  budget = Number.POSITIVE_INFINITY,
): Promise<number[]> {
  const values = Float32Array.from({ length: size * size }, (_, i) => (i % 17) / 17 - 0.5);
  const [a, b] = [tf.tensor2d(values, [size, size]), tf.tensor2d(values.slice(), [size, size])];
  const times: number[] = [];
  for (let spent = 0; times.length < count && spent < budget; spent += times.at(-1)!) {
    const start = performance.now();
    const product = tf.matMul(a, b);
    await product.data(); // an engine may compute in the background; the values are its end
    times.push(performance.now() - start);
    product.dispose();
  }
  tf.dispose([a, b]);
  return times;
}

/** The report as lines for a terminal. */
export function formatDoctor(report: DoctorReport): string {
  const { engine, matmul, memory, processor } = report;
  const gigabytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const threads =
    engine.threads === undefined ? "" : `, ${engine.threads} thread${engine.threads > 1 ? "s" : ""}`;
  const rows: [string, string][] = [
    ["node", `${report.node}, ${report.platform}`],
    ["processor", `${processor.model}, ${processor.cores} cores`],
    ["memory", `${gigabytes(memory.total)}, ${gigabytes(memory.free)} free`],
    ["engine", `${engine.name} ${engine.version.backend}${threads}, on ${engine.device}`],
    ["tfjs", engine.version.tfjs],
    [
      "matmul",
      `${matmul.gflops.toPrecision(3)} GFLOP/s (${matmul.size}x${matmul.size}, median of ${matmul.products}), relative error ${matmul.relativeError.toExponential(1)}`,
    ],
    ...engine.passedOver.map(({ name, reason }): [string, string] => ["passed over", `${name}: ${reason}`]),
    ...report.packages.map(({ name, version }): [string, string] => [
      "package",
      `${name} ${version ?? "not installed"}`,
    ]),
  ];
  let former = "";
  return rows
    .map(([title, text]) => {
      const label = title === former ? "" : title;
      former = title;
      return `${label.padEnd(13)}${text}\n`;
    })
    .join("");
}
