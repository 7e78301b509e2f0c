// The demo's pictures: Google's emoji from the npm package emoji-datasource-google, as folders with a sub-folder for each
// category. Skin tones of one emoji are near copies of each other and left out. Every fifth emoji is for testing.
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export function writePictures(directory) {
  const source = dirname(createRequire(import.meta.url).resolve("emoji-datasource-google/package.json"));
  const emoji = JSON.parse(readFileSync(join(source, "emoji.json"), "utf8"))
    .filter(({ has_img_google, category }) => has_img_google && category !== "Component")
    .sort((a, b) => a.sort_order - b.sort_order);
  emoji.forEach(({ image, short_name, category }, i) => {
    const folder = join(directory, i % 5 === 4 ? "test" : "train", category.replace(" & ", " and "));
    mkdirSync(folder, { recursive: true });
    cpSync(
      join(source, "img", "google", "64", image),
      join(folder, `${short_name.replaceAll("/", "-")}.png`),
    );
  });
  return emoji.length;
}
