/** Which part of a video's frames becomes a clip: arithmetic on sizes and given draws, the same for all frames. */

/** [height, width] in pixels. */
export type Size = readonly [number, number];

/** A rectangle in pixels of the frames as they are shown; its edges may lie inside pixels. */
export interface Box {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** How frames are cut; the draws are made beforehand, in [0, 1), so that whoever decodes needs no generator. */
export type CropPlan =
  /** The largest centred part of the clip's aspect. */
  | { readonly kind: "centre" }
  /** Along the longer side, so many such parts evenly spread. */
  | { readonly kind: "spread"; readonly crops: number }
  /** VideoMAE's multi-scale crop. */
  | { readonly kind: "multi-scale"; readonly size: number; readonly place: number; readonly flip: boolean };

/** The parts that become clips: one, or as many as the plan spreads. */
export function cropBoxes(height: number, width: number, size: Size, plan: CropPlan): Box[] {
  switch (plan.kind) {
    case "centre":
      return [spreadBox(height, width, size, 0.5)];
    case "spread":
      return Array.from({ length: plan.crops }, (_, i) =>
        spreadBox(height, width, size, plan.crops === 1 ? 0.5 : i / (plan.crops - 1)),
      );
    case "multi-scale":
      return [multiScaleBox(height, width, size, plan)];
  }
}

/** The largest part of the wanted aspect, `along` of the way from the top left to the bottom right. */
function spreadBox(height: number, width: number, [rows, columns]: Size, along: number): Box {
  const scale = Math.min(height / rows, width / columns);
  const [boxHeight, boxWidth] = [rows * scale, columns * scale];
  return {
    top: (height - boxHeight) * along,
    left: (width - boxWidth) * along,
    height: boxHeight,
    width: boxWidth,
  };
}

/** Shares of the shorter side (of the largest part with the clip's aspect) that crops have. */
const SCALES = [1, 0.875, 0.75, 0.66];

/** Pairs of scales for height and width that distort by one step at most. */
const PAIRS = SCALES.flatMap((_, i) =>
  SCALES.flatMap((__, j) => (Math.abs(i - j) <= 1 ? [[SCALES[i]!, SCALES[j]!] as const] : [])),
);

/** Where crops stand, in quarters of the free space [down, across]: centre, corners, edges, and half way between. */
const PLACES: readonly (readonly [number, number])[] = [
  [2, 2],
  [0, 0],
  [0, 4],
  [4, 0],
  [4, 4],
  [0, 2],
  [2, 0],
  [2, 4],
  [4, 2],
  [1, 1],
  [1, 3],
  [3, 1],
  [3, 3],
];

/**
 * One of ten sizes at one of thirteen places. Source: Wang et al., Temporal Segment Networks, 2016, as VideoMAE uses it.
 */
function multiScaleBox(
  height: number,
  width: number,
  size: Size,
  plan: { readonly size: number; readonly place: number },
): Box {
  const largest = spreadBox(height, width, size, 0);
  const [down, across] = PAIRS[Math.floor(plan.size * PAIRS.length)]!;
  const cut = (side: number, share: number) => Math.max(1, Math.floor(side * share));
  const [boxHeight, boxWidth] = [cut(largest.height, down), cut(largest.width, across)];
  const [row, column] = PLACES[Math.floor(plan.place * PLACES.length)]!;
  return {
    top: Math.floor((height - boxHeight) / 4) * row,
    left: Math.floor((width - boxWidth) / 4) * column,
    height: boxHeight,
    width: boxWidth,
  };
}
