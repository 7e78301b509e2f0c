/** The report of a run as one page that needs nothing else: no network, no other file, and no script to be read. */
import type { Buckets } from "./downsample.js";
import { evaluationTables } from "./evaluation-table.js";
import { Html, html } from "./html.js";
import { type ChartSeries, type LineChartOptions, lineChart } from "./line-chart.js";
import { SCRIPT, SCRIPT_HASH, STYLE } from "./page.js";
import type { RunReport } from "./run-report.js";
import { formatNumber } from "./ticks.js";

const POLICY = `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '${SCRIPT_HASH}'; base-uri 'none'; form-action 'none'`;
const TERMS_PER_CHART = 6;
const MOST_SKIPPED = 500;

/** All text in `report` may come from anywhere: none of it becomes markup. */
export function renderReport(report: RunReport): string {
  const { title } = report;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<main>
<header>
<h1>${title}</h1>
<p>${summaryOf(report)}</p>
${facts(report)}
</header>
${training(report)}
${pictures(report)}
${evaluation(report)}
${skipped(report)}
${configuration(report)}
${problems(report)}
<footer class="muted">Made by Unmask.</footer>
</main>
<script>${new Html(SCRIPT)}</script>
</body>
</html>
`.text;
}

/** Method, data, engine, duration and final loss in one line. */
function summaryOf({ config, metrics }: RunReport): string {
  const { kind, method, data, engine } = config;
  const verb = { pretrain: "pretrained", finetune: "fine-tuned" }[kind ?? ""] ?? kind ?? "trained";
  const samples = typeof data?.length === "number" ? ` (${data.length.toLocaleString("en")} samples)` : "";
  const parts = [
    `${method ?? "A model"} ${verb}${typeof data?.name === "string" ? ` on ${data.name}${samples}` : ""}`,
    engine !== undefined && `${engine} engine`,
    metrics.seconds > 0 && formatDuration(metrics.seconds),
    metrics.last && `loss ${formatNumber(metrics.epochLoss?.loss ?? metrics.last.loss)}`,
  ];
  return parts.filter(Boolean).join(" · ");
}

function facts({ config, metrics }: RunReport): Html | undefined {
  const { last, epochLoss, seconds } = metrics;
  if (last === undefined) return html`<p class="muted">No step was made yet.</p>`;
  const planned = config.training?.epochs;
  const loss = epochLoss ?? last;
  const list: [string, string][] = [
    [
      epochLoss ? `Mean loss of epoch ${epochLoss.epoch}` : `Loss of step ${last.step}`,
      formatNumber(loss.loss),
    ],
    ["Epochs", shownOf(Number(last.epoch.toFixed(2)), planned)],
    ["Steps", last.step.toLocaleString("en")],
  ];
  if (seconds > 0) list.push(["Training time", formatDuration(seconds)]);
  if (seconds > 0) list.push(["Time of a step", formatDuration(seconds / metrics.lines)]);
  const when = last.time === undefined ? undefined : formatTime(last.time);
  if (when !== undefined) list.push(["Last step", when]);
  return html`<dl class="facts">${list.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

const shownOf = (done: number, planned: unknown) =>
  typeof planned === "number" && planned > done ? `${done} of ${planned}` : String(done);

function training({ metrics }: RunReport): Html | undefined {
  const { loss, lr, gradNorm, epochLosses, terms } = metrics;
  const lossSeries: ChartSeries[] = course("each step", loss);
  if (epochLosses.length > 0) {
    const { pointsPerBucket } = epochLosses;
    const name = pointsPerBucket === 1 ? "mean of epoch" : `mean of ${pointsPerBucket} epochs`;
    lossSeries.push({ name, ...epochLosses.means(), style: "points", colour: 1 });
  }
  const charts = [
    chart({ title: "Loss", yLabel: "loss", series: lossSeries }, true),
    ...termCharts(terms),
    chart({ title: "Learning rate", yLabel: "learning rate", series: course("each step", lr, false) }),
    chart({
      title: "Norm of the gradients before clipping",
      yLabel: "norm",
      series: course("each step", gradNorm),
    }),
  ].filter((one) => one !== undefined);
  return charts.length === 0
    ? undefined
    : html`<section><h2>Training</h2><div class="charts">${charts}</div></section>`;
}

/** One term is the loss itself. */
function termCharts(terms: ReadonlyMap<string, Buckets>): (Html | undefined)[] {
  const series = [...terms].map(([name, buckets]): ChartSeries => ({ name, ...buckets.smoothed() }));
  if (series.length < 2) return [];
  const charts: (Html | undefined)[] = [];
  for (let i = 0; i < series.length; i += TERMS_PER_CHART) {
    const title = i === 0 ? "Terms of the loss" : `Terms of the loss, ${i + 1} and on`;
    charts.push(chart({ title, yLabel: "smoothed", series: series.slice(i, i + TERMS_PER_CHART) }, true));
  }
  return charts;
}

/** Steps, and their smoothed course where there are enough of them. */
function course(name: string, buckets: Buckets, smooth = true): ChartSeries[] {
  if (!smooth || buckets.length < 40) return [{ name, ...buckets.extremes(), colour: 0 }];
  return [
    { name, ...buckets.extremes(), style: "faint", colour: 0 },
    { name: "smoothed", ...buckets.smoothed(), colour: 0 },
  ];
}

/** Drawn for broad and for narrow screens, so that its text stays readable on both. */
function chart(
  { series, ...rest }: Pick<LineChartOptions, "series" | "title" | "yLabel">,
  wide = false,
): Html | undefined {
  const values = series.flatMap(({ y }) => Array.from(y));
  if (values.length === 0) return undefined;
  const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  const logY = low > 0 && high > 50 * low;
  const options = { ...rest, series, xLabel: "epoch", logY };
  const broad = lineChart({ ...options, width: wide ? 960 : 480, height: wide ? 340 : 260 });
  const narrow = lineChart({ ...options, width: 340, height: 250 });
  return html`<figure class="card${wide && " wide"}"><div class="broad">${new Html(broad)}</div><div class="narrow">${new Html(narrow)}</div></figure>
`;
}

function pictures({ pictures, pictureCount }: RunReport): Html | undefined {
  if (pictures.length === 0) return undefined;
  const fewer =
    pictures.length < pictureCount && html`<p class="muted">${pictures.length} of ${pictureCount}.</p>`;
  const figures = pictures.map(
    ({ caption, png, width, height }) =>
      html`<figure><img src="data:image/png;base64,${png}" width="${width}" height="${height}" alt="Reconstructions: ${caption}"><figcaption>${caption}</figcaption></figure>
`,
  );
  return html`<section><h2>Pictures</h2>${fewer}<div class="card"><div class="strip" role="region" tabindex="0" aria-label="Pictures over time">${figures}</div></div></section>`;
}

function evaluation({ evaluations }: RunReport): Html | undefined {
  if (evaluations.length === 0) return undefined;
  const tables = evaluationTables(evaluations).map(
    (table) => html`<div class="card">${table}</div>
`,
  );
  return html`<section><h2>Evaluation</h2><p class="muted">Mean ± standard deviation over seeds.</p>${tables}</section>`;
}

function skipped({ skipped }: RunReport): Html | undefined {
  if (skipped.length === 0) return undefined;
  const shown = skipped.slice(0, MOST_SKIPPED);
  const rows = shown.map(
    ({ sample, reason }) => html`<tr><th scope="row"><code>${sample}</code></th><td>${reason}</td></tr>
`,
  );
  const more = shown.length < skipped.length && html`<p>and ${skipped.length - shown.length} more</p>`;
  return html`<section><h2>Skipped samples</h2><details class="card"${skipped.length <= 10 && " open"}><summary>${skipped.length} could not be read; others took their place</summary>
<table class="keys"><thead><tr><th scope="col">Sample</th><th scope="col">Reason</th></tr></thead><tbody>${rows}</tbody></table>${more}</details></section>`;
}

function configuration({ config }: RunReport): Html | undefined {
  const { data, training, versions, method, engine } = config;
  const tables = [
    keyTable(`Method${method === undefined ? "" : `: ${method}`}`, config.config),
    keyTable("Training", training),
    keyTable("Data", data),
    keyTable("Versions", versions && { ...(engine !== undefined && { engine }), ...versions }),
  ].filter((table) => table !== undefined);
  return tables.length === 0
    ? undefined
    : html`<section><h2>Configuration</h2><div class="card columns">${tables}</div></section>`;
}

function keyTable(title: string, values: Readonly<Record<string, unknown>> | undefined): Html | undefined {
  const rows = flatKeys(values ?? {});
  if (rows.length === 0) return undefined;
  return html`<div><h3>${title}</h3><table class="keys"><tbody>${rows.map(
    ([key, value]) => html`<tr><th scope="row">${key}</th><td>${value}</td></tr>
`,
  )}</tbody></table></div>`;
}

/** `{a: {b: [1, 2]}}` -> `a.b  1, 2` */
function flatKeys(values: object, prefix = ""): [string, string][] {
  return Object.entries(values).flatMap(([key, value]): [string, string][] => {
    const path = prefix + key;
    if (typeof value !== "object" || value === null) return [[path, String(value)]];
    if (!Array.isArray(value)) return flatKeys(value, `${path}.`);
    if (value.length === 0) return [[path, "none"]];
    const nested = value.some((item) => typeof item === "object");
    return [[path, nested ? JSON.stringify(value) : value.join(", ")]];
  });
}

function problems({ problems }: RunReport): Html | undefined {
  if (problems.length === 0) return undefined;
  return html`<section><h2>Not readable</h2><ul>${problems.map((problem) => html`<li>${problem}</li>`)}</ul></section>`;
}

/** 72 ms, 42 s, 3 min 20 s, 5 h 3 min */
function formatDuration(seconds: number): string {
  if (seconds < 1) return `${Number((1000 * seconds).toPrecision(3))} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${minutes} min ${whole % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Unix time as 2026-01-31 14:05 UTC. */
function formatTime(seconds: number): string | undefined {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime())
    ? undefined
    : `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
