/** Prints what training tells, and does what a run wants done on the way. */
import type { FinetuneEvent, Scores, SkippedSample, TrainEvent } from "@unmask/core";
import { bar, duration, type Output } from "./output.js";

export interface FollowOptions {
  readonly output: Output;
  /** What samples are called: images. */
  readonly samples: string;
  /** Is awaited after each epoch, before training goes on. */
  readonly afterEpoch?: (epoch: number) => Promise<void>;
}

/** How training ended. */
export interface Followed {
  readonly ended: "end" | "aborted";
  readonly step: number;
  readonly seconds: number;
  /** Mean over the last epoch. */
  readonly loss?: number;
  readonly skipped: readonly SkippedSample[];
  /** Of the last evaluation of fine-tuning. */
  readonly scores?: Scores;
}

export async function follow(
  events: AsyncIterable<TrainEvent | FinetuneEvent>,
  { output, samples, afterEpoch }: FollowOptions,
): Promise<Followed> {
  const skipped: SkippedSample[] = [];
  const speed = createSpeed();
  let steps = 0;
  let stepsPerEpoch = 1;
  let loss: number | undefined;
  let seconds = 0;
  let scores: Scores | undefined;
  for await (const event of events) {
    output.event(event);
    switch (event.type) {
      case "start": {
        ({ steps, stepsPerEpoch } = event);
        const from = event.step > 0 ? `from step ${event.step} of ${steps}` : `${steps} steps`;
        output.note(
          `training ${event.parameters.toLocaleString("en")} parameters: ${from}, ${event.batchSize} ${samples} each, learning rate up to ${event.lr.toPrecision(3)}`,
        );
        break;
      }
      case "step": {
        speed.add(event.samplesPerSecond);
        if (!output.live) break;
        const percent = Math.floor((100 * event.step) / steps);
        output.progress(`${bar(event.step, steps)} ${percent}%  ${status(event.loss, event.step)}`);
        break;
      }
      case "epoch": {
        ({ loss, seconds } = event);
        const of = Math.ceil(steps / stepsPerEpoch);
        const lr = event.lr.toPrecision(3);
        output.note(`epoch ${event.epoch}/${of}  ${status(event.loss, event.step)}  lr ${lr}`);
        await afterEpoch?.(event.epoch);
        break;
      }
      case "evaluation": {
        ({ scores } = event);
        output.note(`epoch ${event.epoch}  top-1 ${(100 * scores.top1).toFixed(2)} %`);
        break;
      }
      case "skipped": {
        skipped.push(event);
        output.note(`skipped ${event.sample}: ${event.reason}`);
        break;
      }
      case "stop":
        if (event.reason === "aborted")
          return { ended: "aborted", step: event.step, seconds, loss, skipped, scores };
        break; // training throws with the reason
      case "end": {
        const { step, skipped: all } = event;
        return { ended: "end", step, seconds: event.seconds, loss, skipped: all, scores };
      }
    }
  }
  throw new Error("training ended without saying so");

  function status(value: number, step: number): string {
    const rate = speed.samplesPerSecond();
    return `loss ${value.toFixed(4)}  ${rate.toFixed(rate < 10 ? 1 : 0)} ${samples}/s  ETA ${duration(speed.remaining(step, steps))}`;
  }
}

/** Speed of late, and the time that is left at the pace since training (or this part of it) began. */
function createSpeed() {
  const began = performance.now();
  let smoothed: number | undefined;
  let count = 0;
  return {
    add(samplesPerSecond: number) {
      count++;
      smoothed = smoothed === undefined ? samplesPerSecond : 0.9 * smoothed + 0.1 * samplesPerSecond;
    },
    samplesPerSecond: () => smoothed ?? 0,
    remaining: (step: number, steps: number) =>
      count === 0 ? 0 : ((performance.now() - began) / 1000 / count) * (steps - step),
  };
}

/** What a person wants to know at the end of training. */
export function summarise(
  { skipped, step, seconds, loss }: Followed,
  { output, samples, of, out }: { output: Output; samples: string; of: number; out: string },
): void {
  if (skipped.length > 0) {
    output.result(`skipped ${skipped.length} of ${of} ${samples}:`);
    for (const { sample, reason } of skipped) output.result(`  ${sample}: ${reason}`);
  }
  const lossText = loss === undefined ? "" : `, loss ${loss.toFixed(4)}`;
  output.result(`${step} steps in ${duration(seconds)}${lossText}`);
  output.result(`run: ${out}`);
}
