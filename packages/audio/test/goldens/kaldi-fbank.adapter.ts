/** torchaudio.compliance.kaldi.fbank, in single precision and in double. */
import { toFloat32 } from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import { type AudioInput, spectrogramTensor } from "../../src/batch.js";
import {
  type FbankOptions,
  fbank,
  frameSizes,
  paddedSize,
  type Spectrogram,
} from "../../src/features/fbank.js";
import { melBanks } from "../../src/features/mel-banks.js";
import { spectrogramSample } from "../../src/features/sample-features.js";
import { windowOf } from "../../src/features/windows.js";

/** Their option names in ours; those that a golden leaves out have Kaldi's defaults. */
function fbankOptions(config: Golden["config"]): FbankOptions {
  const options = {
    sampleRate: config.sample_frequency,
    bands: config.num_mel_bins,
    frameLength: config.frame_length,
    frameShift: config.frame_shift,
    window: config.window_type,
    blackman: config.blackman_coeff,
    lowFrequency: config.low_freq,
    highFrequency: config.high_freq,
    preemphasis: config.preemphasis_coefficient,
    removeOffset: config.remove_dc_offset,
    energy: config.use_energy,
    htk: config.htk_compat,
    rawEnergy: config.raw_energy,
    energyFloor: config.energy_floor,
    log: config.use_log_fbank,
    power: config.use_power,
    roundToPowerOfTwo: config.round_to_power_of_two,
    snipEdges: config.snip_edges,
    subtractMean: config.subtract_mean,
    minimumDuration: config.min_duration,
    vtlnWarp: config.vtln_warp,
    vtlnLow: config.vtln_low,
    vtlnHigh: config.vtln_high,
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function run(golden: Golden): GoldenResult {
  const recorded = toFloat32(given(golden.inputs, "waveform"));
  const mean = recorded.reduce((sum, value) => sum + value, 0) / recorded.length;
  const waveform = recorded.map((value) => value - mean);
  const options = fbankOptions(golden.config);
  const { target_length: frames } = golden.config;
  const own = fbank(waveform, options);
  const input = inputOf(options, frames, golden.config);
  const sample = spectrogramSample([recorded], input);
  const padded = { values: sample.values, frames, bands: sample.bands };
  const normalised = spectrogramTensor(input, [sample]).dataSync() as Float32Array;
  const snipless = { ...options, snipEdges: false };
  const povey = { sampleRate: options.sampleRate, energy: true };
  const { size } = frameSizes(options);

  const values = {
    fbank: own,
    fbank_from_float64: own,
    fbank_padded: padded,
    fbank_normalised: { ...padded, values: normalised },
    fbank_snip_false: fbank(waveform, snipless),
    fbank_povey_energy: fbank(waveform, povey),
  };
  const outputs = new Map<string, Values>(Object.entries(values).map(([name, { values }]) => [name, values]));
  outputs.set("hanning_window", windowOf("hanning", size));
  outputs.set("mel_banks", dense(options, paddedSize(size, options.roundToPowerOfTwo)));

  const inSingle: Record<string, [Spectrogram, FbankOptions]> = {
    fbank: [own, options],
    fbank_padded: [padded, options],
    fbank_normalised: [padded, options],
    fbank_snip_false: [values.fbank_snip_false, snipless],
    fbank_povey_energy: [values.fbank_povey_energy, povey],
  };
  const excluded = new Map(
    Object.entries(inSingle).map(([name, [{ bands }, form]]) => {
      const drowned = belowRounding(waveform, form);
      return [
        name,
        { reason: REASON, entry: (index: number) => drowned(Math.floor(index / bands), index % bands) },
      ];
    }),
  );
  return { outputs, gradients: new Map(), excluded };
}

/** How our readers make spectrograms of that form: with these options of the filterbank, and Kaldi's defaults for others. */
function inputOf(options: FbankOptions, frames: number, config: Golden["config"]): AudioInput {
  const { bands = 23, sampleRate = 16000, frameLength = 25, frameShift = 10, window = "povey" } = options;
  const { lowFrequency = 20, highFrequency = 0 } = options;
  const form = { sampleRate, frameLength, frameShift, window, lowFrequency, highFrequency, channels: 1 };
  return { ...form, inputSize: [frames, bands], mean: config.norm_mean, std: config.norm_std };
}

const REASON = "energy near the rounding of a single-precision Fourier transform";

/**
 * Whether float32 can give a band's logarithm to 1e-4. The reference's single-precision transform leaves noise of some
 * units of rounding of the frame in every bin; where a band holds little more than that, its logarithm is the noise's.
 */
function belowRounding(
  waveform: Float32Array,
  options: FbankOptions,
): (frame: number, column: number) => boolean {
  const { htk = false, energy = false, bands = 23 } = options;
  const form = {
    ...options,
    energy: true,
    htk: false,
    rawEnergy: true,
    energyFloor: 0,
    log: false,
    power: true,
  };
  const { values, frames, bands: columns } = fbank(waveform, form); // log energy of the frame, then powers of its bands
  const firstBand = energy && !htk ? 1 : 0;
  return (frame, column) => {
    const band = column - firstBand;
    if (frame >= frames || band < 0 || band >= bands) return false;
    const noise = 2 ** -24 * Math.exp(values[frame * columns]! / 2);
    return noise / Math.sqrt(values[frame * columns + 1 + band]!) > 1e-4 / 10; // twice that in the logarithm, five deviations
  };
}

/** Filters as rows: [bands, size / 2] */
function dense(options: FbankOptions, size: number): Float32Array {
  const { sampleRate = 16000, bands = 23, lowFrequency = 20, highFrequency = 0 } = options;
  const { vtlnWarp, vtlnLow, vtlnHigh } = options;
  const banks = melBanks({
    bands,
    size,
    sampleRate,
    lowFrequency,
    highFrequency,
    vtlnWarp,
    vtlnLow,
    vtlnHigh,
  });
  const rows = new Float32Array((bands * size) / 2);
  for (const [band, { first, weights }] of banks.entries()) rows.set(weights, (band * size) / 2 + first);
  return rows;
}

export const kaldiFbank: GoldenAdapter = {
  accepts: ({ method }) => method.startsWith("Kaldi fbank"),
  run,
};
