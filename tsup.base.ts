/** How every package is built: ES modules with declarations and source maps. */
import type { Options } from "tsup";

type DtsOptions = Exclude<Options["dts"], boolean | string | undefined>;

export function library(
  entry: string[],
  { external = [], paths }: { external?: string[]; paths?: Record<string, string[]> } = {},
): Options {
  // Declarations are made from what other packages built, as a user's compiler will see them.
  const compilerOptions = { noEmit: false, customConditions: [], ...(paths && { baseUrl: ".", paths }) };
  return {
    entry,
    external,
    format: "esm",
    target: "es2022",
    dts: { compilerOptions } satisfies DtsOptions,
    sourcemap: true,
    clean: true,
  };
}
