export { alibi1d, alibi2d, alibiSlopes } from "./alibi.js";
export { patchGrid, patchify, unpatchify } from "./patchify.js";
export {
  interpolatePositions,
  type Positions,
  type SinCos2dOptions,
  sinCos1d,
  sinCos2d,
  sinCosBlocks1d,
} from "./position.js";
export { sinCosRows } from "./sin-cos-rows.js";
