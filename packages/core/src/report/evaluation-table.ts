/** Evaluations side by side: what was measured by rows, how by columns, a table for each data set. */
import { type Spread, spread } from "../evaluate/spread.js";
import type { EvaluationRecord } from "./evaluation-record.js";
import { type Html, html } from "./html.js";
import { formatNumber } from "./ticks.js";

/** What kinds are called, in the order of the columns; others follow. */
const KINDS: Readonly<Record<string, string>> = {
  knn: "kNN",
  logistic: "logistic regression",
  probe: "linear probe",
  finetune: "fine-tuning",
};

export function evaluationTables(records: readonly EvaluationRecord[]): Html[] {
  return [...grouped(records, ({ data }) => JSON.stringify(data)).values()].map(table);
}

function table(records: readonly EvaluationRecord[]): Html {
  const columns = columnsOf(records);
  const rows = [...grouped(records, subjectOf)].sort(
    ([a], [b]) => Number(isBaseline(a)) - Number(isBaseline(b)) || inOrder(a, b),
  );
  const { name, train, test, classes } = records[0]!.data;
  const sizes = [
    train !== undefined && `${train.toLocaleString("en")} to train`,
    test !== undefined && `${test.toLocaleString("en")} to test`,
    classes !== undefined && `${classes} classes`,
  ].filter((part) => part !== false);
  return html`<h3>${name}${sizes.length > 0 && html` <span>${sizes.join(", ")}</span>`}</h3>
<div class="scroll" role="region" tabindex="0" aria-label="Evaluation on ${name}"><table class="evaluation">
<thead><tr><th scope="col">Features</th>${columns.map(({ label }) => html`<th scope="col">${label}</th>`)}</tr></thead>
<tbody>${rows.map(
    ([subject, own]) =>
      html`<tr><th scope="row">${subject}</th>${columns.map(({ key }) => cell(own.filter((record) => columnKey(record) === key)))}</tr>
`,
  )}</tbody></table></div>
${settingsOf(columns)}`;
}

interface Column {
  readonly key: string;
  readonly label: string;
  /** How all columns of this kind and settings were measured. */
  readonly method: string;
  readonly settings: EvaluationRecord["settings"];
}

/** Columns of one name are told apart by the settings in which they differ. */
function columnsOf(records: readonly EvaluationRecord[]): Column[] {
  const columns = [...grouped(records, columnKey)].map(([key, [first]]) => ({ key, ...first! }));
  const labelled = columns.map(({ key, kind, metric, settings }) => {
    const namesakes = columns.filter((other) => other.kind === kind && other.metric === metric);
    const telling = Object.entries(settings)
      .filter(([name, value]) => namesakes.some((other) => !same(other.settings[name], value)))
      .map(([name, value]) => `, ${name} ${value}`)
      .join("");
    const name = KINDS[kind] ?? kind;
    return {
      key,
      rank: rankOf(kind),
      label: `${name} ${metric}${telling}`,
      method: name + telling,
      settings,
    };
  });
  return labelled.sort((a, b) => a.rank - b.rank || inOrder(a.label, b.label));
}

function settingsOf(columns: readonly Column[]): Html | undefined {
  const measured = columns.filter(({ settings }) => Object.keys(settings).length > 0);
  if (measured.length === 0) return undefined;
  const lines = [
    ...grouped(measured, ({ method, settings }) => JSON.stringify([method, settings])).values(),
  ].map(([first]) => {
    const { method, settings } = first!;
    const text = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
    return html`<li><b>${method}</b>: ${text.join(", ")}</li>`;
  });
  return html`<ul class="settings">${lines}</ul>`;
}

function cell(records: readonly EvaluationRecord[]): Html {
  if (records.length === 0) return html`<td>–</td>`;
  return html`<td>${records.map(({ values, unit, seeds }) => {
    const of = spread(values);
    const share = unit === "fraction" ? Math.min(Math.max(of.mean, 0), 1) : undefined;
    return html`<div title="${values.map((value) => shown(value, unit)).join(", ")}">${measured(of, unit)}${
      seeds.length > 1 && html` <small>${seeds.length} seeds</small>`
    }${share !== undefined && html`<i class="bar" style="width:${(100 * share).toFixed(1)}%"></i>`}</div>`;
  })}</td>`;
}

function measured({ mean, deviation }: Spread, unit: EvaluationRecord["unit"]): string {
  if (deviation === undefined) return shown(mean, unit);
  return unit === "fraction"
    ? `${(100 * mean).toFixed(1)} ± ${(100 * deviation).toFixed(1)} %`
    : `${formatNumber(mean)} ± ${formatNumber(deviation)}`;
}

const shown = (value: number, unit: EvaluationRecord["unit"]) =>
  unit === "fraction" ? `${(100 * value).toFixed(1)} %` : formatNumber(value);

const subjectOf = ({ subject, step }: EvaluationRecord) =>
  step === undefined ? subject : `${subject}, step ${step}`;
const rankOf = (kind: string) => {
  const rank = Object.keys(KINDS).indexOf(kind);
  return rank < 0 ? Object.keys(KINDS).length : rank;
};
const inOrder = (a: string, b: string) => a.localeCompare(b, "en", { numeric: true });
const isBaseline = (subject: string) => !/^(pretrained|fine-?tuned)/i.test(subject);
const columnKey = ({ kind, metric, unit, settings }: EvaluationRecord) =>
  JSON.stringify([kind, metric, unit, Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1))]);
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/** In the order of first appearance. */
function grouped<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
