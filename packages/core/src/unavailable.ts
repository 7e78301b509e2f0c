/** Stands in for `#node` where there are no files: in browsers. */
import { UnmaskError } from "./errors.js";

const unavailable = async (): Promise<never> => {
  throw new UnmaskError(
    "files need Node; leave `out` away and keep the parameters yourself (`readParameters`)",
  );
};

export const createRun = unavailable;
export const readRunConfig = unavailable;
export const openRun = unavailable;
export const packageVersions = unavailable;
export const saveModel = unavailable;
export const loadParameters = unavailable;
