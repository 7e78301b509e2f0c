/** facebookresearch/AudioMAE: pretraining with each of its masks and decoders. */
import * as tf from "@tensorflow/tfjs";
import {
  bindModel,
  createRandom,
  embedPatches,
  encodeVisible,
  type Mask,
  maskedFlags,
  maskFromFlags,
  maskFromNoise,
  patchify,
  resolveConfig,
  tensorOf,
  toFloat32,
  trainable,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import { audioGrid } from "../../src/batch.js";
import {
  type AudioMaeConfig,
  audioDecoderInput,
  audioMae,
  decodeSpectrogram,
  patchTarget,
} from "../../src/methods/audio-mae.js";

/** Their config keys in ours. The local decoder's depth and heads are fixed in the reference: the parameters tell them. */
function configOf({ config, params }: Golden): AudioMaeConfig {
  const blocks = [...params.keys()].flatMap((path) => path.match(/^decoder_blocks\.(\d+)\./)?.[1] ?? []);
  const tau = params.get("decoder_blocks.0.attn.tau");
  return resolveConfig(audioMae, {
    inputSize: config.img_size,
    patchSize: config.patch_size,
    channels: config.in_chans ?? 1,
    width: config.embed_dim,
    depth: config.depth,
    heads: config.num_heads,
    mlpRatio: config.mlp_ratio ?? 4,
    epsilon: config.layernorm_eps ?? 1e-6,
    masking: config.mask_2d ? "time-frequency" : "random",
    maskRatio: config.mask_ratio,
    timeMaskRatio: config.mask_t_prob ?? 0.6,
    frequencyMaskRatio: config.mask_f_prob ?? 0.5,
    decoder: config.decoder_mode === 1 ? "local" : "global",
    decoderWidth: config.decoder_embed_dim,
    decoderDepth: Math.max(...blocks.map(Number)) + 1,
    decoderHeads: tau?.shape[0] ?? config.decoder_num_heads,
    normalisePatches: config.norm_pix_loss,
  });
}

function maskOf({ inputs }: Golden, config: AudioMaeConfig, batch: number): Mask {
  if (config.masking === "random")
    return maskFromNoise(toFloat32(given(inputs, "noise")), batch, config.maskRatio);
  const [times, frequencies] = audioGrid("golden", config);
  const time = hiddenRows(toFloat32(given(inputs, "noise_t")), batch, config.timeMaskRatio);
  const frequency = hiddenRows(toFloat32(given(inputs, "noise_f")), batch, config.frequencyMaskRatio);
  const flags = Float32Array.from({ length: batch * times * frequencies }, (_, i) => {
    const [b, t, f] = [
      Math.floor(i / (times * frequencies)),
      Math.floor(i / frequencies) % times,
      i % frequencies,
    ];
    return time[b * times + t]! || frequency[b * frequencies + f]!;
  });
  return maskFromFlags(flags, batch);
}

/** 1 where a time step or a band is hidden: all but the first in the order of rising noise. */
const hiddenRows = (noise: Float32Array, batch: number, ratio: number): Float32Array =>
  ratio === 0 ? new Float32Array(noise.length) : maskedFlags(maskFromNoise(noise, batch, ratio));

function run(golden: Golden): GoldenResult {
  const config = configOf(golden);
  const model = bindModel(audioMae, config, audioMae.init(config, createRandom(0)));
  const { params } = model;
  writeParameters(params, golden.params);
  const recorded = tensorOf(given(golden.inputs, "specs")); // [B, C, frames, bands]
  const spectrograms = tf.transpose(recorded, [0, 2, 3, 1]) as tf.Tensor4D;
  const mask = maskOf(golden, config, spectrograms.shape[0]);
  const patches = patchify(spectrograms, config.patchSize);
  const latent = encodeVisible(params, config, patches, mask);
  const variables = trainable(params);
  const { grads } = tf.variableGrads(
    () => audioMae.loss(params, config, { spectrograms, mask }).total,
    [...variables.values()],
  );
  return {
    outputs: new Map<string, Values>([
      ["tokens_with_pos", embedPatches(params, patches)],
      ["latent", latent],
      ["decoder_input", audioDecoderInput(params, config, latent, mask)],
      ["pred", decodeSpectrogram(params, config, latent, mask)],
      ["target", patchTarget(config, patches)],
      ["mask", maskedFlags(mask)],
      ["ids_restore", mask.restore],
      ["total_loss", model.loss({ spectrograms, mask }).total],
    ]),
    gradients: new Map([...variables].map(([path, { name }]) => [path, grads[name]!])),
  };
}

export const audioMaePretraining: GoldenAdapter = { accepts: ({ method }) => method === "AudioMAE", run };
