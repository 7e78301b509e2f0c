import { createModel, createRandom, disposeAll, type Random } from "@unmask/core";
import { contractSuite, onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import type { AlignedSample } from "../sample.js";
import { hicmae } from "./hicmae.js";

const config = {
  video: { size: [4, 8, 8], patch: [2, 4, 4] },
  audio: { size: [8, 8], patch: [4, 4] },
  ...{ width: 8, depth: 2, heads: 2, fusionDepth: 1, fusionHeads: 2, halfway: [0] },
  ...{ decoderWidth: 8, decoderDepth: 2, decoderHeads: 2, mlpRatio: 2 },
  ...{ videoMaskRatio: 0.5, audioMaskRatio: 0.5 },
} satisfies Parameters<typeof createModel<typeof hicmae>>[1];

const samples = (count: number, random: Random): AlignedSample[] =>
  Array.from({ length: count }, () => ({
    parts: {
      video: { values: random.uniforms(4 * 8 * 8 * 3), shape: [4, 8, 8, 3] },
      audio: { values: random.normals(64), shape: [8, 8, 1] },
    },
  }));

await contractSuite({ method: hicmae, config, samples, features: 16, overfits: 0.75, lr: 1e-2 });

await onEveryEngine("hicmae", () => {
  it("looks at both modalities together, at one alone, and says what training lacks", () => {
    const model = createModel(hicmae, config, { seed: 1 });
    const [both] = samples(1, createRandom(2)) as [AlignedSample];
    const { video, audio } = both.parts as { video: never; audio: never };
    const features = model.encode([both, { parts: { video } }, { parts: { audio } }]);
    const rows = features.arraySync() as number[][];
    expect(
      rows.map((row) => [row.slice(0, 8), row.slice(8)].map((half) => half.some((value) => value !== 0))),
    ).toEqual([
      [true, true],
      [true, false],
      [false, true],
    ]);
    expect(() => model.prepare([{ parts: { audio } }], createRandom(1))).toThrow(
      "hicmae: sample 0 has audio; to train it takes video and audio of each",
    );
    features.dispose();
    model.dispose();
  });

  it("weighs the contrast of every level, and none at weight 0", () => {
    const model = createModel(hicmae, { ...config, contrastWeight: 0 }, { seed: 1 });
    const batch = model.prepare(samples(3, createRandom(2)), createRandom(3));
    const terms = model.loss(batch) as unknown as Record<string, { dataSync(): Float32Array }>;
    const of = (name: string) => terms[name]!.dataSync()[0]!;
    expect(of("total")).toBeCloseTo(of("video") + of("audio"), 5);
    expect(of("contrast")).toBeGreaterThan(0);
    disposeAll([terms, batch]);
    model.dispose();
    expect(() => createModel(hicmae, { ...config, halfway: [0, 1] })).toThrow(
      "halfway [0,1] must name decoderDepth - 1 = 1",
    );
  });

  it("draws visible tokens as they are, and hidden ones with statistics of visible ones unless asked for true ones", () => {
    const model = createModel(hicmae, config, { seed: 1 });
    const [sample] = samples(1, createRandom(2)) as [AlignedSample];
    const draw = (of: AlignedSample, denormalise?: "truth") => {
      const { parts, note } = model.reconstruct([of], createRandom(3), { denormalise });
      const shown = (name: string) => {
        const { original, masked, combined } = parts[name]!;
        const [truth, hidden, made] = [original, masked, combined].map((tensor) => tensor.dataSync());
        return { truth: truth!, hidden: Array.from(hidden!, (value) => value === 0.5), made: made! };
      };
      const both = { video: shown("video"), audio: shown("audio"), note };
      disposeAll(parts);
      return both;
    };
    const [estimated, known] = [draw(sample), draw(sample, "truth")];
    expect(estimated.note).toContain("estimated from visible");
    expect(known.note).toContain("taken from the truth");
    for (const name of ["video", "audio"] as const) {
      const { truth, hidden, made } = estimated[name];
      truth.forEach((value, i) => {
        expect(value).toBeCloseTo(sample.parts[name]!.values[i]!, 5);
        if (!hidden[i]) expect(made[i]).toBeCloseTo(value, 5);
      });
      expect(made).not.toEqual(known[name].made);
      const altered = {
        ...sample.parts[name]!,
        values: truth.map((value, i) => (hidden[i] ? 1 - value : value)),
      };
      const other = draw({ ...sample, parts: { ...sample.parts, [name]: altered } })[name].made;
      made.forEach((value, i) => {
        expect(other[i]).toBeCloseTo(value, 4);
      });
    }
    model.dispose();
  });
});
