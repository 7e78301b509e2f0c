/**
 * pnpm bench multimodal --data DIR [--part sensors|stains|brain|emoji|digits|video-text] [--seeds 0,1,2] [--epochs N] [--engine NAME] [--out DIR]
 *
 * DIR holds the small data sets: images/sentinel_terramind, images/histology_he, images/emoji, images/mnist,
 * audio/fsdd, fmri/haxby_pymvpa, video/lpc_sprites. Each part pretrains without labels beyond the pairing, then measures on samples that
 * training never saw, beside an untrained model of the same shape and a baseline without a model.
 *
 * sensors: CROMA on radar and optical tiles of five places, the lowest quarter of each held out: which optical tile
 *   belongs to a radar tile, and the commonest land cover of a tile by logistic regression.
 * stains: MultiMAE on tiles of tissue and their stains: which of two kinds of tumour, on pictures held out.
 * brain: MindEye on volumes of one subject, the last three of twelve runs held out: which of 8 kinds of thing was seen.
 * emoji: a composed model of pictures and spelt names, a fifth of the emoji held out: the name of a picture.
 * digits: handwritten digits paired with spoken ones by label: AV-MAE, MAViL, HiCMAE and pairwise contrast beside an MAE of
 *   each; digits by logistic regression on either modality and on both, and whether the nearest items of the other
 *   modality are the same digit. What was trained and measured stands in --out and is not done again.
 * video-text: drawn characters in action, captions made of their labels, other characters held out: the clip that a caption
 *   means, and action and direction by logistic regression, for SimVTP, SMAUG, a dual encoder of frames and captions, and
 *   masks guided by it beside random, tube and motion masks.
 */
import { parseArgs } from "node:util";
import { formatSpread, spread, startEngine } from "@unmask/core";
import type { Recorder } from "./multimodal/measure.js";
import { parts } from "./multimodal/parts.js";

const { values: args } = parseArgs({
  options: {
    data: { type: "string" },
    part: { type: "string" },
    seeds: { type: "string", default: "0,1,2" },
    epochs: { type: "string" },
    engine: { type: "string", default: "auto" },
    out: { type: "string", default: "runs/multimodal" },
  },
});
const { data, part } = args;
if (data === undefined) throw new Error("pnpm bench multimodal: give the folder of data sets as --data DIR");
const chosen = Object.entries(parts).filter(([name]) => part === undefined || part === name);
if (chosen.length === 0)
  throw new Error(`pnpm bench multimodal: --part is one of ${Object.keys(parts).join(", ")}`);
const engine = await startEngine(args.engine as Parameters<typeof startEngine>[0]);
console.log(`engine ${engine.name}`);
for (const [name, run] of chosen) {
  const results = new Map<string, number[]>();
  const record: Recorder = (what, value) => results.set(what, [...(results.get(what) ?? []), value]);
  const started = performance.now();
  for (const seed of args.seeds.split(",").map(Number))
    await run({
      ...{ data, seed, record, out: args.out },
      epochs: args.epochs === undefined ? undefined : Number(args.epochs),
    });
  console.log(`\n${name}, ${Math.round((performance.now() - started) / 1000)} s`);
  for (const [what, values] of results) console.log(`  ${what.padEnd(64)} ${formatSpread(spread(values))}`);
}
