/** Stands in for `#node` where there are no files: in browsers. */
import { UnmaskError } from "./errors.js";

const unavailable = async (): Promise<never> => {
  throw new UnmaskError("run directories need Node; leave `out` away and keep the model yourself");
};

export const createRun = unavailable;
export const readRunConfig = unavailable;
export const openRun = unavailable;
export const packageVersions = unavailable;
