/** Values and gradients against PyTorch, on every engine that runs without a download. */
import * as tf from "@tensorflow/tfjs";
import { describe, expect, it } from "vitest";
import { onEveryEngine } from "../../../testing/src/engines.js";
import { expectCase, expectClose, readFixture, readGolden } from "../../test/support.js";
import { maskFromFlags } from "../masking/index.js";
import * as losses from "./index.js";

const fixture = readFixture("losses");
type Loss = (...inputs: tf.Tensor[]) => tf.Tensor;

const mask = maskFromFlags(fixture.ints("maskedMse.in.flags"), 2);
const labels = (name: string) => fixture.ints(`${name}.in.labels`);
const tokens = ["prediction", "target"];
const pairs = ["queries", "keys"];

const cases: [string, string[], (...inputs: tf.Tensor[]) => tf.Tensor][] = [
  ["maskedMse", tokens, (p, t) => losses.maskedMse(p!, t!, mask)],
  ["normaliseJoint", ["x"], (x) => losses.normaliseJoint(x!)],
  ["normaliseChannels", ["x"], (x) => losses.normaliseChannels(x!, 3)],
  ["normaliseLayer", ["x"], (x) => losses.normaliseLayer(x!)],
  ["mse", tokens, (p, t) => losses.mse(p!, t!)],
  ["l1", tokens, (p, t) => losses.l1(p!, t!)],
  ["smoothL1", tokens, (p, t) => losses.smoothL1(p!, t!, { beta: 0.7 })],
  ["cosine", tokens, (p, t) => losses.cosine(p!, t!)],
  ...[1, 2, 3, 1.5].map((gamma): [string, string[], Loss] => [
    `scaledCosine${gamma}`,
    tokens,
    (p, t) => losses.scaledCosine(p!, t!, { gamma }),
  ]),
  ["crossEntropy", ["logits"], (x) => losses.crossEntropy(x!, labels("crossEntropy"))],
  [
    "crossEntropySmooth",
    ["logits"],
    (x) => losses.crossEntropy(x!, labels("crossEntropySmooth"), { smoothing: 0.1 }),
  ],
  ["crossEntropySoft", ["logits", "target"], (x, t) => losses.crossEntropy(x!, t!, { smoothing: 0.2 })],
  ["binaryCrossEntropy", ["logits", "target"], (x, t) => losses.binaryCrossEntropy(x!, t!)],
  ["infoNceOne", pairs, (q, k) => losses.infoNce(q!, k!, { temperature: 0.1, directions: "one" })],
  ["infoNceBoth", pairs, (q, k) => losses.infoNce(q!, k!, { temperature: 0.2 })],
  ["infoNceExtra", pairs, (q, k) => losses.infoNce(q!, k!, { temperature: 0.2, directions: "one" })],
  [
    "infoNceScale",
    [...pairs, "logScale"],
    (q, k, logScale) => losses.infoNce(q!, k!, { logScale: logScale! }),
  ],
  [
    "supervisedContrastive",
    ["features"],
    (x) =>
      losses.supervisedContrastive(x!, {
        labels: labels("supervisedContrastive"),
        temperature: 0.2,
        baseTemperature: 0.07,
      }),
  ],
  [
    "supervisedContrastiveSingle",
    ["features"],
    (x) =>
      losses.supervisedContrastive(x!, { labels: labels("supervisedContrastiveSingle"), temperature: 0.1 }),
  ],
  ["chamferL1", ["a", "b"], (a, b) => losses.chamfer(a!, b!, { norm: "l1" })],
  ["chamferL2", ["a", "b"], (a, b) => losses.chamfer(a!, b!, { norm: "l2" })],
  ["chamferL2Sum", ["a", "b"], (a, b) => losses.chamfer(a!, b!, { norm: "l2", reduction: "sum" })],
  ["chamferTwice", ["a", "b"], (a, b) => losses.chamfer(a!, b!, { norm: "l2" })],
  ["klDistillation", ["student", "teacher"], (s, t) => losses.klDistillation(s!, t!, { temperature: 2.5 })],
];

const golden = readGolden("ssl_losses");
const stacked = (a: tf.Tensor, b: tf.Tensor) => tf.stack([a, b], 1);
const selfSupervised: [string, (a: tf.Tensor, b: tf.Tensor) => tf.Tensor][] = [
  ["ntxent_simclr", (a, b) => losses.ntXent(a, b, { temperature: 0.5 })],
  ["supcon_unsup", (a, b) => losses.supervisedContrastive(stacked(a, b), { temperature: 0.5 })],
  [
    "supcon_labels",
    (a, b) =>
      losses.supervisedContrastive(stacked(a, b), {
        labels: golden.ints("inputs.labels"),
        temperature: 0.5,
        baseTemperature: 0.07,
      }),
  ],
  ["barlow", (a, b) => losses.barlowTwins(a, b)],
  ["vicreg", (a, b) => losses.vicReg(a, b).total],
];

await onEveryEngine("losses", () => {
  it.each(cases)("%s equals PyTorch, gradients too", (name, inputs, loss) => {
    expectCase(fixture, name, inputs, loss);
  });

  it.each(selfSupervised)("%s equals the reference, gradients too", (name, loss) => {
    const [a, b] = [golden.tensor("inputs.z1"), golden.tensor("inputs.z2")];
    expectClose(loss(a, b), golden.tensor(`outputs.${name}`), 1e-5, name);
    const [ga, gb] = tf.grads((x: tf.Tensor, y: tf.Tensor) => loss(x, y))([a, b]);
    expectClose(ga!, golden.tensor(`grads.z1.${name}`), 2e-5, `${name}: gradient of z1`);
    expectClose(gb!, golden.tensor(`grads.z2.${name}`), 2e-5, `${name}: gradient of z2`);
  });

  it("gives the parts of Barlow Twins and VICReg as the references do", () => {
    const [a, b] = [golden.tensor("inputs.z1"), golden.tensor("inputs.z2")];
    expectClose(losses.crossCorrelation(a, b), golden.tensor("outputs.barlow_c"), 2e-6);
    const { invariance, variance, covariance } = losses.vicReg(a, b);
    expectClose(invariance, golden.tensor("outputs.vicreg_repr"), 2e-6);
    expectClose(variance, golden.tensor("outputs.vicreg_std"), 2e-6);
    expectClose(covariance, golden.tensor("outputs.vicreg_cov"), 2e-6);
  });

  it("gives finite gradients where a root or a quotient has none", () => {
    const zeros = tf.zeros([1, 3, 4]);
    for (const loss of [
      (x: tf.Tensor) => losses.cosine(x, tf.ones([1, 3, 4])),
      (x: tf.Tensor) => losses.chamfer(x, zeros, { norm: "l1" }),
      (x: tf.Tensor) => losses.scaledCosine(x, x, { gamma: 1.5 }),
    ])
      for (const value of tf.grad(loss)(zeros).dataSync()) expect(Number.isFinite(value)).toBe(true);
  });

  it("does not look at visible tokens", () => {
    const [p, t] = [fixture.tensor("maskedMse.in.prediction"), fixture.tensor("maskedMse.in.target")];
    const gradient = tf
      .grad((x) => losses.maskedMse(x, t, mask))(p)
      .arraySync() as number[][][];
    fixture.ints("maskedMse.in.flags").forEach((flag, i) => {
      expect(gradient[Math.floor(i / 5)]![i % 5]!.some((value) => value !== 0)).toBe(flag === 1);
    });
  });
});

describe("losses", () => {
  it("say what does not fit", () => {
    const ones = (...shape: number[]) => tf.ones(shape);
    expect(() => losses.mse(ones(2, 3), ones(2, 1))).toThrow("mse: shapes [2,3] and [2,1] differ");
    expect(() => losses.crossEntropy(ones(2, 3), Int32Array.of(0, 3))).toThrow("label 3 is not a class");
    expect(() => losses.crossEntropy(ones(2, 3), Int32Array.of(0))).toThrow("1 labels for 2 rows");
    expect(() => losses.maskedMse(ones(2, 4, 3), ones(2, 4, 3), mask)).toThrow("do not fit a mask [2,5]");
    expect(() => losses.normaliseJoint(ones(2, 4, 1))).toThrow("has no variance");
    expect(() => losses.infoNce(ones(2, 3), ones(4, 3), { temperature: 0.1 })).toThrow("both directions");
    const alone = { temperature: 0.1, labels: Int32Array.of(0, 1) };
    expect(() => losses.supervisedContrastive(ones(2, 1, 3), alone)).toThrow("no anchor has a positive");
  });
});
