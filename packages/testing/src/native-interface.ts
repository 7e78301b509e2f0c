/** The name of what the addon of `@unmask/native` and its TypeScript must agree on. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";

const folder = new URL("../../native/cpp/kernels/", import.meta.url);

/** A hash of the declarations that cpp/kernels/exports.cc includes from its folder, comments and spaces aside. */
export function nativeInterface(): string {
  const seen = new Set<string>();
  const declarations = (name: string): string => {
    const file = new URL(name, folder);
    if (seen.has(name) || !existsSync(file)) return "";
    seen.add(name);
    const text = readFileSync(file, "utf8");
    const included = [...text.matchAll(/#include "([\w-]+\.h)"/g)].map(([, header]) => declarations(header!));
    return included.join("") + text;
  };
  const text = declarations("exports.cc").replace(/\/\/.*/g, "");
  return createHash("sha256").update(text.replace(/\s+/g, " ")).digest("hex").slice(0, 16);
}
