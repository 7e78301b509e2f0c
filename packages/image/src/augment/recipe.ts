/** The random views of contrastive methods: crop, flip, colour jitter, gray, blur, solarisation, as SimCLR orders them. */
import { z } from "zod";
import {
  type Augmentation,
  compose,
  randomHorizontalFlip,
  randomly,
  randomResizedCrop,
} from "./augmentations.js";
import { randomGaussianBlur } from "./blur.js";
import { type ColourJitterOptions, colourJitter, grayscale, solarise } from "./colour.js";
import type { Size } from "./view.js";

/** What a config says about a method's views. */
export interface RecipeConfig {
  readonly cropScale: readonly [number, number];
  readonly flip: number;
  readonly jitter: number;
  readonly gray: number;
  readonly blur: number;
}

const share = z.number().min(0).max(1);

/** The schema keys of `RecipeConfig` with a method's defaults; `jitter` multiplies the method's own strengths. */
export const recipeShape = ({ cropScale, blur = 0.5 }: { cropScale: [number, number]; blur?: number }) => ({
  cropScale: z
    .tuple([share, share])
    .readonly()
    .default(cropScale)
    .describe("least and greatest share of the picture's area that a view shows"),
  flip: share.default(0.5).describe("probability of a mirrored view"),
  jitter: z
    .number()
    .nonnegative()
    .default(1)
    .describe(
      "strength of the colour jitter over the published one; 0.5 suits pictures of 32 pixels, 0 is none",
    ),
  gray: share.default(0.2).describe("probability of a view without colour"),
  blur: share.default(blur).describe("probability of a blurred view; 0 suits pictures of 32 pixels"),
});

/** What a method settles beside the config. */
export interface Recipe extends RecipeConfig {
  /** At `jitter` 1. */
  readonly colours: Required<ColourJitterOptions>;
  /** Probability of inverting what is bright; 0 when absent. */
  readonly solarise?: number;
}

/** Jitter is made in four of five views. */
const JITTERED = 0.8;

/** One random view of `size` pixels. */
export function recipeView(size: Size, recipe: Recipe): Augmentation {
  return compose(
    randomResizedCrop(size, { scale: recipe.cropScale }),
    randomHorizontalFlip(recipe.flip),
    recipeColours(recipe),
  );
}

/** The part of a view that moves no pixel: jitter, gray, blur, solarisation. */
export function recipeColours({
  jitter,
  gray,
  blur,
  colours,
  solarise: inverted = 0,
}: Omit<Recipe, "cropScale" | "flip">): Augmentation {
  const strengths = {
    brightness: colours.brightness * jitter,
    contrast: colours.contrast * jitter,
    saturation: colours.saturation * jitter,
    hue: Math.min(0.5, colours.hue * jitter),
  };
  return compose(
    randomly(JITTERED, colourJitter(strengths)),
    randomly(gray, grayscale),
    randomly(blur, randomGaussianBlur()),
    randomly(inverted, (sample) => solarise(sample)),
  );
}
