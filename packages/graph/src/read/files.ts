/** Graphs from files and folders. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { expect, FormatError, UnmaskError } from "@unmask/core";
import Graphology from "graphology";
import graphml from "graphology-graphml";
import { parseDgcnn, parseTu, type TuFiles } from "./collections.js";
import type { FeatureKind } from "./features.js";
import type { GraphData, NodeData } from "./graph-data.js";
import { fromGraphology, type NetworkOptions, parseEdgeList, parseGraphJson } from "./network.js";
import { PLANETOID_PARTS, type PlanetoidOptions, type PlanetoidPart, parsePlanetoid } from "./planetoid.js";

/**
 * Reads one of Planetoid's data sets (cora, citeseer, pubmed) from the folder that holds its `ind.NAME.*` files.
 * @param name may be left out where the folder holds one data set
 */
export function readPlanetoid(folder: string, name?: string, options?: PlanetoidOptions): NodeData {
  const chosen = pick("planetoid", folder, planetoidNames(folder), name);
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

const planetoidNames = (folder: string) => namesIn(folder, /^ind\.(.+)\.graph$/);

function namesIn(folder: string, pattern: RegExp): string[] {
  return readdirSync(folder)
    .flatMap((file) => pattern.exec(file)?.[1] ?? [])
    .sort();
}

function pick(what: string, folder: string, names: readonly string[], name?: string): string {
  const chosen = name ?? (names.length === 1 ? names[0] : undefined);
  expect(
    chosen !== undefined && names.includes(chosen),
    `${what}: ${folder} holds ${names.join(", ") || "no data set"}${chosen === undefined ? "" : `, not ${chosen}`}; name one of them`,
  );
  return chosen;
}

export interface ReadGraphsOptions extends NetworkOptions, PlanetoidOptions {
  /** Data set of a folder that holds several. */
  readonly name?: string;
  /** Edges of an edge list go one way. */
  readonly directed?: boolean;
}

/**
 * Whatever of graphs a path holds: a folder of Planetoid's or TU's files, or with one DGCNN text; a GraphML or JSON file,
 * an edge list, a DGCNN text.
 */
export function readGraphs(path: string, options: ReadGraphsOptions = {}): GraphData {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new UnmaskError(`graphs: there is no ${path}; give a folder or file of graphs`);
  return stats.isDirectory() ? readFolder(path, options) : readFile(path, options);
}

function readFolder(folder: string, options: ReadGraphsOptions): GraphData {
  if (planetoidNames(folder).length > 0) return readPlanetoid(folder, options.name, options);
  const sets = namesIn(folder, /^(.+)_A\.txt$/);
  if (sets.length > 0) return readTu(folder, pick("tu", folder, sets, options.name), options.kind);
  const files = readdirSync(folder).filter((file) => READABLE.has(extname(file).toLowerCase()));
  const names = files.map((file) => basename(file, extname(file)));
  expect(
    files.length > 0,
    `graphs: ${folder} holds neither ind.*.graph nor *_A.txt nor a file of ${[...READABLE].join(", ")}`,
  );
  const chosen = pick("graphs", folder, names, options.name);
  return readFile(join(folder, files[names.indexOf(chosen)]!), options);
}

function readTu(folder: string, name: string, kind?: FeatureKind): GraphData {
  const text = (part: string) => {
    const path = join(folder, `${name}_${part}.txt`);
    return existsSync(path) ? readFileSync(path, "utf8") : undefined;
  };
  const indicator = text("graph_indicator");
  expect(
    indicator !== undefined,
    `tu: ${folder} lacks ${name}_graph_indicator.txt; copy the whole data set there`,
  );
  const files: TuFiles = {
    ...{ A: text("A")!, graph_indicator: indicator },
    ...{
      graph_labels: text("graph_labels"),
      node_labels: text("node_labels"),
      node_attributes: text("node_attributes"),
    },
  };
  return parseTu(name, files, kind);
}

const READABLE = new Set([".graphml", ".xml", ".json", ".txt", ".edges", ".edgelist", ".csv", ".tsv"]);

function readFile(path: string, options: ReadGraphsOptions): GraphData {
  const name = basename(path);
  const planetoid = /^ind\.(.+)\.(x|y|tx|ty|allx|ally|graph|test\.index)$/.exec(name);
  if (planetoid !== null) return readPlanetoid(dirname(path), planetoid[1], options);
  const text = readFileSync(path, "utf8");
  switch (extname(path).toLowerCase()) {
    case ".graphml":
    case ".xml":
      return readGraphml(name, text, options);
    case ".json":
      return parseGraphJson(name, text, options);
    default:
      // A DGCNN text begins with one number alone, an edge list with two names.
      return /^\s*\d+\s*\r?\n/.test(text)
        ? parseDgcnn(name, text, options.kind)
        : parseEdgeList(name, text, { directed: options.directed, kind: options.kind });
  }
}

function readGraphml(name: string, text: string, options: ReadGraphsOptions): NodeData {
  let parsed: ReturnType<typeof graphml.parse>;
  try {
    parsed = graphml.parse(Graphology, text, { addMissingNodes: false });
  } catch (error) {
    throw new FormatError(`graphml ${name}: ${(error as Error).message}`);
  }
  return fromGraphology(parsed, options);
}
