/** What training tells as it goes. */
import type { SkippedSample } from "./loader.js";

export interface StartEvent {
  readonly type: "start";
  /** Updates already made: 0, or where a resumed run continues. */
  readonly step: number;
  /** Updates in all. */
  readonly steps: number;
  readonly stepsPerEpoch: number;
  /** Samples of one update. */
  readonly batchSize: number;
  /** Learning rate at its highest. */
  readonly lr: number;
  /** Scalars that are trained. */
  readonly parameters: number;
}

/** After each update. */
export interface StepEvent {
  readonly type: "step";
  /** Updates made, this one included. */
  readonly step: number;
  /** Epochs done, with fraction. */
  readonly epoch: number;
  readonly loss: number;
  /** The loss's named parts; empty when it has none. */
  readonly terms: Readonly<Record<string, number>>;
  readonly lr: number;
  /** Norm of all gradients before clipping. */
  readonly gradNorm: number;
  readonly samplesPerSecond: number;
}

/** After each epoch. */
export interface EpochEvent {
  readonly type: "epoch";
  /** Counts from 1. */
  readonly epoch: number;
  readonly step: number;
  /** Mean over the epoch's steps. */
  readonly loss: number;
  /** Means over the epoch's steps. */
  readonly terms: Readonly<Record<string, number>>;
  readonly lr: number;
  /** Time of training since the run began, interruptions not counted. */
  readonly seconds: number;
}

/** A sample that could not be read, told once. */
export interface SkippedEvent extends SkippedSample {
  readonly type: "skipped";
  /** Different samples skipped so far. */
  readonly count: number;
}

export interface CheckpointEvent {
  readonly type: "checkpoint";
  readonly step: number;
  readonly path: string;
}

/** Training stopped before its end. After "not finite" the iterator throws unless the caller leaves. */
export interface StopEvent {
  readonly type: "stop";
  readonly reason: "aborted" | "not finite";
  readonly step: number;
  readonly message: string;
  /** Newest good checkpoint, where files are written. */
  readonly checkpoint?: string;
}

export interface EndEvent {
  readonly type: "end";
  readonly step: number;
  readonly skipped: readonly SkippedSample[];
  readonly seconds: number;
  readonly checkpoint?: string;
}

export type TrainEvent =
  | StartEvent
  | StepEvent
  | EpochEvent
  | SkippedEvent
  | CheckpointEvent
  | StopEvent
  | EndEvent;
