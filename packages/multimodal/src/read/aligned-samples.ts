/** Manifests and paired folders as data sets. */
import {
  BadSampleError,
  createDataset,
  createRandom,
  type Dataset,
  expect,
  FormatError,
  type Random,
  UnmaskError,
} from "@unmask/core";
import type { AlignedSample, ArrayPart } from "../sample.js";
import { separateStains } from "../stains.js";
import { type ListedSample, listSamples } from "./listing.js";
import { kindOf, readImage, readPart } from "./read-part.js";
import { scaleBands, takeScene, tileView } from "./scene.js";

export interface AlignedOptions {
  /** The shape of each part, channels last. Parts of other names are left out. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Part by the key or folder that holds it, where the two differ. */
  readonly names?: Readonly<Record<string, string>>;
  /** Images are cut into as many by as many, each a sample. Default 1. */
  readonly tiles?: number;
  /** The training view of images: a tile anywhere, mirrored either way ("flip"), or the evaluation view. Default "flip". */
  readonly augment?: "none" | "flip";
  /**
   * Bands of images as they are in their files (default), or each cut at two deviations around its mean over the whole
   * image, before that is cut into tiles, and scaled to 0-1.
   */
  readonly bands?: "as-is" | "scene";
  /** Frames of a video from one frame of its clip to the next, less in short videos. Default 4. */
  readonly stride?: number;
  /** Keep only samples that have all of the parts. Default false. */
  readonly complete?: boolean;
  /** Class names in the order of their index; default all labels, sorted. */
  readonly classes?: readonly string[];
  /** Bytes of decoded images to keep. Default 256 MiB. Results do not depend on it. */
  readonly cache?: number;
}

/** Parts that are made of another, when a sample has that alone. */
const STAINS = ["haematoxylin", "eosin"] as const;

/**
 * Samples of a manifest or of paired folders; see {@link listSamples} for their form. Images of one sample are cut alike.
 * A text that is wanted as an array [letters, 27] is spelt: a to z, and one for all else. `haematoxylin` and `eosin` are taken out of `rgb` where they are wanted and not given; an `embedding` that is
 * wanted and not given is a fixed random unit vector of the sample's label.
 * @throws UnmaskError when there is no sample. `get` throws a BadSampleError where a file cannot be read.
 */
export function alignedSamples(source: string, options: AlignedOptions): Dataset<AlignedSample> {
  const { shapes, names = {}, tiles = 1, augment = "flip", bands = "as-is", complete = false } = options;
  const available = (sample: ListedSample) => Object.keys(shapes).filter((name) => canRead(sample, name));
  const listed = listSamples(source, names).filter((sample) => {
    const found = available(sample).length;
    return complete ? found === Object.keys(shapes).length : found > 0;
  });
  if (listed.length === 0)
    throw new UnmaskError(
      `multimodal: no sample of ${source} has ${complete ? "all of" : "any of"} ${Object.keys(shapes).join(", ")}; name keys or folders by data.names, for example names.${Object.keys(shapes)[0]}=KEY`,
    );
  const { labels, classes } = labelsOf(listed, options.classes);
  const scenes = createSceneCache(options.cache ?? 256 * 2 ** 20, async (file, channels) => {
    const image = await readImage(file, channels);
    return bands === "scene" ? scaleBands(image) : image;
  });

  async function get(index: number, random?: Random): Promise<AlignedSample> {
    const line = Math.floor(index / tiles ** 2);
    const sample = listed[line];
    if (sample === undefined) throw new UnmaskError(`${source}: there is no sample ${index}`);
    const view = tileView(index % tiles ** 2, tiles, augment, random);
    const parts: Record<string, ArrayPart> = {};
    const texts: Record<string, string> = {};
    for (const [name, part] of Object.entries(sample.parts)) {
      if ("text" in part) {
        texts[name] = part.text;
        if (shapes[name] !== undefined) parts[name] = spell(part.text, shapes[name]);
      } else if (shapes[name] !== undefined)
        parts[name] = await skippable(`${sample.name}, ${name}`, () =>
          "file" in part && isImage(part.file, shapes[name]!)
            ? scenes(part.file, shapes[name]!.at(-1)!).then((image) => takeScene(image, view, shapes[name]!))
            : readPart(part, shapes[name]!, random, { stride: options.stride }),
        );
    }
    addStains(shapes, parts);
    if (shapes.embedding && !parts.embedding && sample.label !== undefined)
      parts.embedding = labelEmbedding(String(sample.label), shapes.embedding);
    const label = labels && { label: labels[line]! };
    return { parts, ...(Object.keys(texts).length > 0 && { texts }), ...label };
  }

  return createDataset<AlignedSample>({
    name: source,
    length: listed.length * tiles ** 2,
    ...(labels && {
      classes,
      labels: Int32Array.from(
        { length: listed.length * tiles ** 2 },
        (_, i) => labels[Math.floor(i / tiles ** 2)]!,
      ),
    }),
    nameOf: (i) => {
      const { name = String(i) } = listed[Math.floor(i / tiles ** 2)] ?? {};
      return tiles > 1 ? `${name} tile ${i % tiles ** 2}` : name;
    },
    get,
  });
}

/** A file that cannot be read is one bad sample; a package that is not installed is an error of all. */
async function skippable<T>(what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!(error instanceof FormatError) && code !== "ENOENT") throw error;
    throw new BadSampleError(what, message, { cause: error });
  }
}

const canRead = ({ parts, label }: ListedSample, name: string) =>
  parts[name] !== undefined ||
  (STAINS.some((stain) => stain === name) && parts.rgb !== undefined) ||
  (name === "embedding" && label !== undefined);

const isImage = (file: string, shape: readonly number[]) =>
  kindOf(file, shape) === "image" || (kindOf(file, shape) === "array" && shape.length === 3);

function addStains(shapes: AlignedOptions["shapes"], parts: Record<string, ArrayPart>): void {
  const missing = STAINS.filter((name) => shapes[name] !== undefined && parts[name] === undefined);
  if (missing.length === 0 || parts.rgb === undefined) return;
  const stains = separateStains(parts.rgb);
  for (const name of missing) parts[name] = stains[name];
}

/** One of a to z, or another character, at each place: [letters, 27]. Places behind the text are zeros. */
export function spell(text: string, shape: readonly number[]): ArrayPart {
  const [letters = 0, kinds = 0] = shape;
  expect(
    kinds === ALPHABET.length + 1,
    `spell: a text is an array of [letters, ${ALPHABET.length + 1}], not of [${shape.join(", ")}]`,
  );
  const values = new Float32Array(letters * kinds);
  const known = [...text.toLowerCase()].slice(0, letters).map((letter) => ALPHABET.indexOf(letter));
  known.forEach((place, i) => {
    values[i * kinds + (place < 0 ? kinds - 1 : place)] = 1;
  });
  return { values, shape };
}

const ALPHABET = "abcdefghijklmnopqrstuvwxyz";

/** The same unit vector for the same label, wherever it is drawn. */
export function labelEmbedding(label: string, shape: readonly number[]): ArrayPart {
  const values = createRandom(0)
    .child("label", label)
    .normals(shape.reduce((product, extent) => product * extent, 1));
  const length = Math.hypot(...values);
  return { values: values.map((x) => x / length), shape };
}

function labelsOf(listed: readonly ListedSample[], given?: readonly string[]) {
  const names = [...new Set(listed.flatMap(({ label }) => (label === undefined ? [] : [String(label)])))];
  if (names.length === 0) return {};
  const numbers = names.every((name) => Number.isInteger(Number(name)));
  const classes = given ?? names.sort((a, b) => (numbers ? Number(a) - Number(b) : a < b ? -1 : 1));
  const index = new Map(classes.map((name, i) => [name, i]));
  const labels = listed.map(({ label, name }) => {
    const found = label === undefined ? -1 : index.get(String(label));
    if (found === undefined)
      throw new BadSampleError(name, `class ${label} is none of ${classes.join(", ")}`);
    return found;
  });
  return { labels, classes };
}

/** Decoded images, kept up to `limit` bytes, first come first kept. */
function createSceneCache(limit: number, read: (file: string, channels: number) => Promise<ArrayPart>) {
  const images = new Map<string, ArrayPart>();
  let bytes = 0;
  return async (file: string, channels: number): Promise<ArrayPart> => {
    const kept = images.get(`${channels} ${file}`);
    if (kept !== undefined) return kept;
    const image = await read(file, channels);
    if (bytes + image.values.byteLength <= limit) {
      bytes += image.values.byteLength;
      images.set(`${channels} ${file}`, image);
    }
    return image;
  };
}
