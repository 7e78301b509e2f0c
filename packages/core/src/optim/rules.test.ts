import { describe, expect, it } from "vitest";
import recorded from "../../test/fixtures/optim/mae-train.json" with { type: "json" };
import { countBlocks, decayRules, layerDecayRules } from "./rules.js";

describe("decayRules", () => {
  it("decays what has several axes, tokens included; biases, norms and scalars not", () => {
    const decay = (path: string, shape: number[]) => decayRules(0.05)(path, shape).weightDecay;
    expect(decay("blocks.0.attn.qkv.weight", [12, 4])).toBe(0.05);
    expect(decay("cls_token", [1, 1, 4])).toBe(0.05);
    expect(decay("mask_token", [1, 1, 4])).toBe(0.05);
    expect(decay("norm.weight", [4])).toBe(0);
    expect(decay("table.bias", [3, 4])).toBe(0);
    expect(decay("logit_scale", [])).toBe(0);
  });
});

describe("layerDecayRules", () => {
  it("gives the recorded scales and decays of a three-block ViT", () => {
    const { factor, groups } = recorded.layerDecay;
    const rules = layerDecayRules({ factor, depth: 3, weightDecay: 0.05 });
    for (const [path, { lr_scale, weight_decay }] of Object.entries(groups)) {
      const isVector = path.endsWith("bias") || path === "fc_norm.weight";
      const rule = rules(path, isVector ? [4] : [1, 1, 4]);
      expect(rule.lrScale, path).toBeCloseTo(lr_scale, 15);
      expect(rule.weightDecay, path).toBe(weight_decay);
    }
    expect(Object.keys(groups)).toHaveLength(14);
  });

  it("has what makes tokens of joints, and the table of their times, learn least too", () => {
    const rules = layerDecayRules({ factor: 0.5, depth: 2, weightDecay: 0.05 });
    const of = (path: string) => rules(path, [1, 4, 8]);
    expect(of("joints_embed.weight")).toEqual({ lrScale: 0.125, weightDecay: 0.05 });
    expect(of("temp_embed")).toEqual({ lrScale: 0.125, weightDecay: 0 });
    expect(of("head.fc1.weight")).toEqual({ lrScale: 1, weightDecay: 0.05 });
  });

  it("counts the blocks of a tree", () => {
    expect(
      countBlocks(["cls_token", "blocks.0.norm1.weight", "blocks.11.norm1.weight", "decoder_blocks.20.x"]),
    ).toBe(12);
  });
});
