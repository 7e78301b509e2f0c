/** What a report shows, gathered from a run by whoever reads its files. Whatever is absent is left out. */
import type { SkippedSample } from "../train/loader.js";
import type { EvaluationRecord } from "./evaluation-record.js";
import type { MetricsSummary } from "./metrics-summary.js";

/** `config.json` as far as it can be made out: a report of a run of another version is better than none. */
export interface ReportedConfig {
  readonly kind?: string;
  readonly method?: string;
  readonly engine?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly training?: Readonly<Record<string, unknown>>;
  readonly versions?: Readonly<Record<string, unknown>>;
}

export interface ReportPicture {
  /** "Epoch 10" */
  readonly caption: string;
  /** base64 of a png */
  readonly png: string;
  readonly width: number;
  readonly height: number;
}

export interface RunReport {
  readonly title: string;
  readonly config: ReportedConfig;
  readonly metrics: MetricsSummary;
  /** In the order of time. */
  readonly pictures: readonly ReportPicture[];
  /** Pictures the run has; more than are shown where there are very many. */
  readonly pictureCount: number;
  readonly evaluations: readonly EvaluationRecord[];
  readonly skipped: readonly SkippedSample[];
  /** What could not be read, a line each. */
  readonly problems: readonly string[];
}
