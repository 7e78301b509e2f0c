/** What a benchmark measured, kept beside its runs. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "@unmask/core/node";

export type Scores = Readonly<Record<string, number>>;

/** The scores of an earlier call, or those measured now; undefined where time ran out. */
export async function keptScores(
  out: string,
  name: string,
  measure: () => Promise<Scores | undefined>,
): Promise<Scores | undefined> {
  const file = join(out, `${name}.json`);
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as Scores;
  const scores = await measure();
  if (scores === undefined) return undefined;
  console.log(`${name}: ${JSON.stringify(scores)}`);
  mkdirSync(out, { recursive: true });
  await writeFileAtomic(file, new TextEncoder().encode(JSON.stringify(scores)));
  return scores;
}
