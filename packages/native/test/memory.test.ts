/** Reuse of memory: nothing that somebody can still see is handed out again. */
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { NativeBackend } from "../src/backend.js";
import { register, trimMemory } from "../src/index.js";
import { BufferPool, sizeClass } from "../src/pool.js";
import { next } from "./compare.js";

const backend = () => tf.backend() as unknown as NativeBackend;

beforeAll(() => register());
beforeEach(async () => {
  await tf.setBackend("native");
});

describe("pool", () => {
  it("size classes hold what is asked for and waste at most an eighth", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 33 }), (bytes) => {
        const size = sizeClass(bytes);
        expect(size).toBeGreaterThanOrEqual(bytes);
        expect(size % 64).toBe(0);
        expect(size).toBeLessThanOrEqual(Math.max(bytes * 1.125, bytes + 64));
        expect(sizeClass(size)).toBe(size);
      }),
    );
  });

  it("keeps at most its ceiling and lets go on trim", () => {
    const pool = new BufferPool((bytes) => new ArrayBuffer(bytes), 1000);
    const buffers = [pool.take(500), pool.take(500), pool.take(500)];
    for (const buffer of buffers) pool.give(buffer);
    expect(pool.idle).toBe(512);
    expect(buffers).toContain(pool.take(500));
    expect(pool.idle).toBe(0);
    pool.give(buffers[0]!);
    pool.trim();
    expect(pool.idle).toBe(0);
    expect(buffers).not.toContain(pool.take(500));
  });
});

describe("tensors", () => {
  it("disposed memory comes back", () => {
    const make = () => tf.add(tf.ones([1000]), 1);
    tf.tidy(() => void make());
    trimMemory();
    tf.tidy(() => void make());
    expect(backend().pool.idle).toBeGreaterThan(4000);
    trimMemory();
    expect(backend().pool.idle).toBe(0);
  });

  it("an array that was read keeps its values after its tensor is gone", async () => {
    const x = tf.add(tf.ones([1000]), 1);
    const [sync, later] = [x.dataSync(), await x.data()];
    x.dispose();
    for (let i = 0; i < 20; i++) tf.tidy(() => void tf.mul(tf.ones([1000]), 7));
    expect(new Set([...sync, ...later])).toEqual(new Set([2]));
  });

  it("clones, reshapes and variables outlive the tensor they share data with", () => {
    const x = tf.add(tf.ones([10, 100]), 1);
    const sharing = [x.clone(), x.reshape([1000]), tf.variable(x)];
    x.dispose();
    for (let i = 0; i < 20; i++) tf.tidy(() => void tf.mul(tf.ones([1000]), 7));
    for (const tensor of sharing) expect(new Set(tensor.dataSync())).toEqual(new Set([2]));
    tf.dispose(sharing);
  });

  it("results of tfjs's own kernels that may be views stay valid", () => {
    const x = tf.add(tf.ones([4, 50]), 1);
    const views = [
      tf.stridedSlice(x, [1, 0], [2, 50], [1, 1]),
      tf.complex(x, x),
      tf.mirrorPad(
        x,
        [
          [1, 1],
          [0, 0],
        ],
        "reflect",
      ),
    ];
    const real = tf.real(views[1]!);
    x.dispose();
    for (let i = 0; i < 20; i++) tf.tidy(() => void tf.mul(tf.ones([4, 50]), 7));
    for (const tensor of [views[0]!, views[2]!, real])
      expect(new Set(tensor.dataSync())).toEqual(new Set([2]));
    tf.dispose([...views, real]);
  });

  it("a random program gives the same numbers as without reuse", () => {
    const program = (seedValues: Float32Array[]) => {
      let tensors = seedValues.map((values) => tf.tensor(values.slice(), [6, 8]));
      for (let step = 0; step < 200; step++) {
        const [a, b] = [tensors[step % tensors.length]!, tensors[(step * 5 + 1) % tensors.length]!];
        const made = [
          () => tf.tanh(tf.add(a, b)),
          () => tf.transpose(a.reshape([8, 6])),
          () =>
            tf
              .matMul(a as tf.Tensor2D, tf.softmax(b.slice([0, 0], [8 - 2, 8])) as tf.Tensor2D, false, true)
              .pad([
                [0, 0],
                [0, 2],
              ]),
          () => tf.concat([a.slice([0, 0], [3, 8]), b.slice([3, 0], [3, 8])], 0),
          () => a.clone(),
          () => tf.sin(a), // tfjs's own kernel
        ][step % 6]!;
        const result = tf.tidy(made).reshape([6, 8]);
        const old = tensors[(step * 7) % tensors.length]!;
        tensors = [...tensors.filter((t) => t !== old), result];
        old.dispose();
      }
      const all = tensors.map((t) => [...t.dataSync()]);
      tf.dispose(tensors);
      return all;
    };
    const seeds = Array.from({ length: 5 }, () => Float32Array.from({ length: 48 }, () => next()));
    tf.setBackend("cpu");
    const expected = program(seeds);
    tf.setBackend("native");
    const before = tf.memory().numTensors;
    const actual = tf.tidy(() => program(seeds));
    actual.forEach((values, i) => {
      values.forEach((value, j) => {
        expect(Math.abs(value - expected[i]![j]!)).toBeLessThan(1e-5);
      });
    });
    expect(tf.memory().numTensors).toBe(before);
  });

  it("moves to and from another backend", async () => {
    const x = tf.add(tf.ones([5]), 1);
    await tf.setBackend("cpu");
    const y = tf.add(x, 1);
    await tf.setBackend("native");
    expect([...tf.add(y, x).dataSync()]).toEqual([5, 5, 5, 5, 5]);
  });
});
