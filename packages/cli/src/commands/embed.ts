import { extname } from "node:path";
import { encodeNpy, extractFeatures, type Features, rawTensor, startEngine } from "@unmask/core";
import { writeFileAtomic, writeSafetensors } from "@unmask/core/node";
import { UsageError } from "../errors.js";
import type { FeaturePool } from "../measure.js";
import { openModel } from "../models.js";
import { createOutput, type OutputOptions } from "../output.js";
import { runDataSchema } from "../run.js";
import { type EngineOption, noteEngine } from "./engine-option.js";

export interface EmbedOptions extends OutputOptions, EngineOption {
  readonly out: string;
  readonly pool: FeaturePool;
  readonly batchSize: number;
}

type Writer = (path: string, features: Features) => Promise<string[]>;

const WRITERS: Readonly<Record<string, Writer>> = {
  ".npy": async (path, { features, width, names }) => {
    const list = path.replace(/\.npy$/, ".names.txt");
    await writeFileAtomic(path, encodeNpy(rawTensor(features, [names.length, width])));
    await writeFileAtomic(list, names.map((name) => `${name}\n`).join(""));
    return [path, list];
  },
  ".safetensors": async (path, { features, width, names, labels, classes }) => {
    const tensors = new Map([["features", rawTensor(features, [names.length, width])]]);
    if (labels !== undefined) tensors.set("labels", rawTensor(labels));
    const metadata = { names: JSON.stringify(names), ...(classes && { classes: JSON.stringify(classes) }) };
    await writeSafetensors(path, tensors, metadata);
    return [path];
  },
  ".csv": async (path, features) => {
    await writeFileAtomic(path, csvLines(features));
    return [path];
  },
};

export async function embed(path: string, source: string, options: EmbedOptions): Promise<number> {
  const { out, pool, batchSize } = options;
  const write = WRITERS[extname(out)];
  if (write === undefined)
    throw new UsageError(`--out ${out}: expected a name that ends in ${Object.keys(WRITERS).join(", ")}`);
  const output = createOutput(options);
  noteEngine(output, await startEngine(options.engine));
  const { description, modality, model } = await openModel(path);
  try {
    const { samples } = modality;
    const data = runDataSchema.safeParse(description.run?.config.data.description).data?.options ?? {};
    const dataset = modality.open(source, { method: model.method, config: model.config, data });
    const features = await extractFeatures(model, dataset, {
      pool,
      batchSize,
      onProgress: ({ done, total }) => output.progress(`${done} of ${total} ${samples}`),
    });
    const { names, width, skipped } = features;
    const files = await write(out, features);
    output.event({ type: "embedded", files, rows: names.length, width, skipped });
    for (const { sample, reason } of skipped) output.result(`skipped ${sample}: ${reason}`);
    output.result(`${names.length} ${samples}, ${width} features each: ${files.join(", ")}`);
    return 0;
  } finally {
    model.dispose();
  }
}

function* csvLines({ features, width, names, labels, classes }: Features): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  const columns = Array.from({ length: width }, (_, i) => `f${i}`);
  const line = (cells: readonly (string | number)[]) => encoder.encode(`${cells.join(",")}\n`);
  yield line(["name", ...(labels ? ["label"] : []), ...columns]);
  for (const [row, name] of names.entries()) {
    const label = labels?.[row];
    const cells = label === undefined ? [] : [label < 0 ? "" : quoted(classes?.[label] ?? String(label))];
    yield line([quoted(name), ...cells, ...features.subarray(row * width, (row + 1) * width)]);
  }
}

/** RFC 4180 */
const quoted = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
