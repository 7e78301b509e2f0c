/**
 * MAViL's second stage (Huang et al., NeurIPS 2023, https://arxiv.org/abs/2212.08071): the loss of `mavil`, with features of
 * a frozen teacher in place of patches.
 *
 *   target_i = norm(t_i),   t: the teacher's fused tokens of whole samples, norm: a layer norm without weights
 *
 * The teacher is a model of the first stage, or of this one where training is repeated; the student starts afresh. Its
 * features stand in the batch, so that no gradient reaches it. Where a sample lacks a modality the teacher fuses what is there.
 */
import * as tf from "@tensorflow/tfjs";
import { expect, type Method, type Model, normaliseLayer, type Random, type Teachers } from "@unmask/core";
import { z } from "zod";
import { tokenCount } from "../array-modality.js";
import { type ByModality, mapModalities } from "../by-modality.js";
import { encodeByPresence } from "../encode-by-presence.js";
import type { AlignedSample } from "../sample.js";
import {
  encodeMavil,
  initMavil,
  type MavilBatch,
  type MavilParams,
  type MavilSizes,
  mavilLoss,
  mavilPresets,
  mavilShape,
  prepareMavil,
} from "./mavil.js";

const schema = z.strictObject(mavilShape) satisfies z.ZodType<MavilSizes>;

export interface MavilFeaturesBatch extends MavilBatch {
  /** [B, N, D] by modality, zeros where a sample lacks it */
  readonly targets: ByModality<tf.Tensor>;
}

/** A token is predicted as a vector of the encoder's width. */
const init = (config: MavilSizes, random: Random): MavilParams =>
  initMavil(
    config,
    random,
    mapModalities(config.modalities, (modality) => ({ ...modality, patch: [1], channels: config.width })),
  );

const prepare = (
  config: MavilSizes,
  samples: readonly AlignedSample[],
  random: Random,
  { teacher }: Teachers,
): MavilFeaturesBatch => ({
  ...prepareMavil(config, samples, random),
  targets: teacherTargets(config, samples, teacher!),
});

/** The teacher's tokens of what each sample has, normalised, by modality. */
function teacherTargets(
  { modalities, width }: MavilSizes,
  samples: readonly AlignedSample[],
  teacher: Model,
): ByModality<tf.Tensor> {
  const names = Object.keys(modalities);
  const taught = Object.keys((teacher.config as Partial<MavilSizes>).modalities ?? {});
  expect(
    taught.join() === names.join(),
    () =>
      `mavil-features: the teacher (${teacher.method.id}) takes ${taught.join(", ") || "other samples"}, the student ${names.join(", ")}; give both the same modalities in the same order`,
  );
  const lengths = mapModalities(modalities, tokenCount);
  const sum = (parts: readonly string[]) => parts.reduce((total, name) => total + lengths[name]!, 0);
  const joined = encodeByPresence(samples, names, (group, present) => {
    const tokens = teacher.encode(group, { pool: "tokens" });
    expect(
      tokens.shape[1] === sum(present) && tokens.shape[2] === width,
      () =>
        `mavil-features: expected ${sum(present)} tokens of width ${width} of the teacher (${teacher.method.id}), got [${tokens.shape}]; give both models the same sizes, patches and width`,
    );
    const normalised = normaliseLayer(tokens);
    const own = names.map((name) => {
      const at = present.indexOf(name);
      const shape = [group.length, lengths[name]!, width];
      return at < 0 ? tf.zeros(shape) : normalised.slice([0, sum(present.slice(0, at)), 0], shape);
    });
    return tf.concat(own, 1);
  });
  return mapModalities(modalities, (_, name) =>
    joined.slice([0, sum(names.slice(0, names.indexOf(name))), 0], [samples.length, lengths[name]!, width]),
  );
}

export const mavilFeatures = {
  id: "mavil-features",
  modality: "multimodal",
  summary: "MAViL's second stage: fused features of a frozen first stage are predicted, contrasts are kept",
  paper: "Huang et al., MAViL: Masked Audio-Video Learners, NeurIPS 2023, arXiv 2212.08071",
  schema,
  presets: mavilPresets,
  teachers: { teacher: "a mavil or mavil-features model of the same modalities and width" },
  init,
  prepare,
  loss: (params, config, batch) => mavilLoss(params, config, batch, batch.targets),
  encode: encodeMavil,
} satisfies Method<MavilSizes, AlignedSample, MavilFeaturesBatch, MavilParams>;
