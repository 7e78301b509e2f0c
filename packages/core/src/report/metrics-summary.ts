/** What the report shows of `metrics.jsonl`, gathered line by line. */
import { Buckets } from "./downsample.js";

const MOST_TERMS = 36;

export class MetricsSummary {
  /** Each over epochs. */
  readonly loss = new Buckets();
  readonly lr = new Buckets();
  readonly gradNorm = new Buckets();
  readonly terms = new Map<string, Buckets>();
  /** Mean losses of complete epochs. */
  readonly epochLosses = new Buckets(128);
  lines = 0;
  /** Seconds of training, interruptions not counted. */
  seconds = 0;
  last:
    | { readonly step: number; readonly epoch: number; readonly loss: number; readonly time?: number }
    | undefined;
  /** Mean of the newest complete epoch. */
  epochLoss: { readonly epoch: number; readonly loss: number } | undefined;
  private epoch = { number: 0, sumLoss: 0, sumEpoch: 0, steps: 0 };

  /** @param batchSize samples of one update, from which durations are computed */
  constructor(private readonly batchSize?: number) {}

  /** Takes one line; false where it is not one of a run's metrics. */
  add(line: string): boolean {
    const value = parseObject(line);
    const { step, epoch, loss, lr, gradNorm, samplesPerSecond, time } = value ?? {};
    if (!isNumber(step) || !isNumber(epoch) || !isNumber(loss)) return false;
    this.lines++;
    this.loss.add(epoch, loss);
    if (isNumber(lr)) this.lr.add(epoch, lr);
    if (isNumber(gradNorm)) this.gradNorm.add(epoch, gradNorm);
    this.addTerms(epoch, value?.terms);
    if (isNumber(samplesPerSecond) && samplesPerSecond > 0 && this.batchSize !== undefined)
      this.seconds += this.batchSize / samplesPerSecond;
    this.addToEpoch(epoch, loss);
    this.last = { step, epoch, loss, time: isNumber(time) ? time : undefined };
    return true;
  }

  private addTerms(epoch: number, terms: unknown): void {
    if (typeof terms !== "object" || terms === null) return;
    for (const [name, value] of Object.entries(terms)) {
      let buckets = this.terms.get(name);
      if (buckets === undefined) {
        if (this.terms.size === MOST_TERMS) continue;
        this.terms.set(name, (buckets = new Buckets()));
      }
      if (isNumber(value)) buckets.add(epoch, value);
    }
  }

  private addToEpoch(epoch: number, loss: number): void {
    const number = Math.ceil(epoch);
    if (number !== this.epoch.number) this.epoch = { number, sumLoss: 0, sumEpoch: 0, steps: 0 };
    const current = this.epoch;
    current.steps++;
    current.sumLoss += loss;
    current.sumEpoch += epoch;
    if (epoch !== number) return;
    const mean = current.sumLoss / current.steps;
    this.epochLosses.add(current.sumEpoch / current.steps, mean);
    this.epochLoss = { epoch: number, loss: mean };
  }
}

const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
