import { expect, it } from "vitest";
import { pages, regenerate } from "./docs.js";

it.each(Object.keys(pages))("%s says what the code does; run pnpm write-docs", async (page) => {
  const { now, wanted } = await regenerate(page);
  expect(now).toBe(wanted);
});
