/** Parts of config schemas that methods share. */
import { z } from "zod";

export const count = z.int().positive();

/** A share of tokens to hide. */
export const ratio = (description: string) => z.number().gt(0).lt(1).describe(description);
