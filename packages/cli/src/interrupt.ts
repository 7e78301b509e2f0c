/** Ctrl-C: once to save and end, twice to leave at once. */
import { EXIT } from "./errors.js";

/** npm and npx pass a Ctrl-C on that the terminal has sent already; what comes so soon is the same one. */
const SAME_MS = 300;

export interface Interrupt {
  readonly signal: AbortSignal;
  release(): void;
}

export function catchInterrupt(onFirst: () => void): Interrupt {
  const controller = new AbortController();
  let first = 0;
  const handle = () => {
    if (!controller.signal.aborted) {
      first = performance.now();
      onFirst();
      controller.abort();
    } else if (performance.now() - first > SAME_MS) process.exit(EXIT.interrupted);
  };
  process.on("SIGINT", handle);
  process.on("SIGTERM", handle);
  return {
    signal: controller.signal,
    release() {
      process.off("SIGINT", handle);
      process.off("SIGTERM", handle);
    },
  };
}
