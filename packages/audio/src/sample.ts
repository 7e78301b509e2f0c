/** What a recording is on the host. */

/** Log-mel energies of a recording. */
export interface AudioSample {
  /** [frames, bands, channels], channels last; natural logarithms, not normalised. */
  readonly values: Float32Array;
  readonly frames: number;
  readonly bands: number;
  readonly channels: number;
  /** Frames that were recorded, the first ones; those behind are padding. All when absent. */
  readonly recorded?: number;
  /** Class index, absent or -1 where unknown. */
  readonly label?: number;
  /** [classes]: how much of each class there is, for recordings with several labels or mixed ones; instead of `label`. */
  readonly targets?: Float32Array;
}

/** Sound itself. */
export interface Waveform {
  /** One array for each channel, all of one length; full scale is 1. */
  readonly channels: readonly Float32Array[];
  /** Hz */
  readonly sampleRate: number;
}
