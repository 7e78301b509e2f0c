// Prints the rate and the relative error of matrix products in float32 and, where the processor has it, in bfloat16, as
// a Markdown table. On one thread and by processor time, so that other programs hardly matter.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

// rows, columns, depth; whether the factors are stored transposed
const shapes = [
  ["square", 1024, 1024, 1024, false, false],
  ["linear layer, width 192", 6304, 768, 192, false, true],
  ["its gradient by the input", 6304, 192, 768, false, false],
  ["its gradient by the weight", 768, 192, 6304, true, false],
  ["linear layer, width 768", 6304, 3072, 768, false, true],
  ["logits of a head of 50 tokens", 50, 50, 64, false, true],
];

if (process.argv[2] === "measure") console.log(JSON.stringify(shapes.map(measure)));
else {
  const [full, half] = ["0", "1"].map(run);
  console.log("| product | float32 | error | bfloat16 | error |\n|---|---|---|---|---|");
  for (const [i, [name, m, n, k]] of shapes.entries()) {
    const cells = [full, half].flatMap((rates) =>
      rates === undefined ? ["-", "-"] : [rates[i].rate.toFixed(0), rates[i].error.toExponential(1)],
    );
    console.log(`| ${name}, ${m} x ${n} x ${k} | ${cells.join(" | ")} |`);
  }
}

function run(UNMASK_BF16) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [fileURLToPath(import.meta.url), "measure"],
    {
      encoding: "utf8",
      env: { ...process.env, UNMASK_BF16 },
    },
  );
  if (status === 0) return JSON.parse(stdout);
  console.error(stderr.match(/Error: (.*)/)?.[1] ?? stderr);
}

function measure([, m, n, k, aT, bT]) {
  const addon = createRequire(import.meta.url)("node-gyp-build")(resolve(import.meta.dirname, ".."));
  addon.setThreads(1);
  const [a, b, c] = [normals(m * k, 1), normals(k * n, 2), new Float32Array(m * n)];
  const first = [a, 0, ...(aT ? [1, m] : [k, 1]), 0, b, 0, ...(bT ? [1, k] : [n, 1]), 0, c, 1, m, n, k, 1];
  const multiply = () => addon.matmul(...first, null, 0, 0, null, null, null, null);
  multiply();
  const products = Math.ceil(5e9 / (m * n * k));
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const start = process.cpuUsage();
    for (let i = 0; i < products; i++) multiply();
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, (user + system) / products);
  }
  let [wrong, whole] = [0, 0];
  for (let i = 0; i < m * n; i += Math.ceil((m * n) / 4001)) {
    const [row, column] = [Math.floor(i / n), i % n];
    let exact = 0;
    for (let p = 0; p < k; p++)
      exact += a[aT ? p * m + row : row * k + p] * b[bT ? column * k + p : p * n + column];
    wrong += (c[i] - exact) ** 2;
    whole += exact ** 2;
  }
  return { rate: (2 * m * n * k) / best / 1e3, error: Math.sqrt(wrong / whole) };
}

/** Normal draws (Box and Muller) of a linear congruential generator. */
function normals(count, seed) {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}
