/** Graphs from files and folders. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "@unmask/core";
import type { NodeData } from "./graph-data.js";
import { PLANETOID_PARTS, type PlanetoidOptions, type PlanetoidPart, parsePlanetoid } from "./planetoid.js";

/**
 * Reads one of Planetoid's data sets (cora, citeseer, pubmed) from the folder that holds its `ind.NAME.*` files.
 * @param name may be left out where the folder holds one data set
 */
export function readPlanetoid(folder: string, name?: string, options?: PlanetoidOptions): NodeData {
  const names = planetoidNames(folder);
  const chosen = name ?? (names.length === 1 ? names[0] : undefined);
  expect(
    chosen !== undefined && names.includes(chosen),
    `planetoid: ${folder} holds ${names.join(", ") || "no ind.*.graph"}${chosen === undefined ? "" : `, not ${chosen}`}; name one of them`,
  );
  const missing = PLANETOID_PARTS.filter((part) => !existsSync(join(folder, `ind.${chosen}.${part}`)));
  expect(
    missing.length === 0,
    `planetoid: ${folder} lacks ${missing.map((part) => `ind.${chosen}.${part}`).join(", ")}; copy the whole data set there`,
  );
  const files = Object.fromEntries(
    PLANETOID_PARTS.map((part) => [
      part,
      new Uint8Array(readFileSync(join(folder, `ind.${chosen}.${part}`))),
    ]),
  ) as Record<PlanetoidPart, Uint8Array>;
  return parsePlanetoid(chosen, files, options);
}

/** The data sets of a folder that have a graph. */
export function planetoidNames(folder: string): string[] {
  return readdirSync(folder)
    .flatMap((file) => /^ind\.(.+)\.graph$/.exec(file)?.[1] ?? [])
    .sort();
}
