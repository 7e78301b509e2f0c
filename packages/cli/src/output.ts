/**
 * What the command prints. Results go to stdout, progress and notes to stderr. With `--json` stdout holds nothing but
 * one JSON event a line; with `--quiet` only results and errors are printed.
 */

export interface OutputOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export interface Output {
  readonly json: boolean;
  /** A line of the result. Not with `--json`. */
  result(line: string): void;
  /** A line about what is going on. Not with `--quiet`. */
  note(line: string): void;
  /** One JSON line, with `--json` only. */
  event(event: object): void;
  /** Replaces the progress line of a terminal; nothing elsewhere. */
  progress(line: string): void;
  /** Whether `progress` is seen. */
  readonly live: boolean;
}

const REDRAW_MS = 100;

/** The first names, and how many there are where that is more. */
export function listed(names: readonly string[]): string {
  return `${names.slice(0, 4).join(", ")}${names.length > 4 ? `, ... (${names.length})` : ""}`;
}

export function createOutput({ json = false, quiet = false }: OutputOptions): Output {
  const live = process.stderr.isTTY === true && !json && !quiet;
  let shown = false;
  let drawn = 0;
  const clear = () => {
    if (shown) process.stderr.write("\r\x1b[K");
    shown = false;
  };
  return {
    json,
    live,
    result(line) {
      clear();
      if (!json) process.stdout.write(`${line}\n`);
    },
    note(line) {
      clear();
      if (!quiet) process.stderr.write(`${line}\n`);
    },
    event(event) {
      if (json) process.stdout.write(`${JSON.stringify(event)}\n`);
    },
    progress(line) {
      const now = performance.now();
      if (!live || now - drawn < REDRAW_MS) return;
      drawn = now;
      shown = true;
      process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
    },
  };
}

const BAR = 16;

/** `[=======>        ]` */
export function bar(done: number, total: number): string {
  const filled = Math.round(BAR * Math.min(1, total > 0 ? done / total : 0));
  return `[${"=".repeat(filled)}${" ".repeat(BAR - filled)}]`;
}

/** `3.2 s`, `4:05`, `1:02:03` */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Columns side by side, the first to the left, numbers to the right. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
}
