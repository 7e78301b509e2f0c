/** Parts of config schemas that methods share. */
import { z } from "zod";

export const count = z.int().positive();

/** A size as one number or [height, width]. */
export const sizeSchema = (description: string) =>
  z
    .union([count, z.tuple([count, count]).readonly()])
    .transform((size): readonly [number, number] => (typeof size === "number" ? [size, size] : size))
    .describe(description);

/** A share of tokens to hide. */
export const ratio = (description: string) => z.number().gt(0).lt(1).describe(description);
