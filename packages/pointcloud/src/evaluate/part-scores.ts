import { expect } from "@unmask/core";

export interface PartScores {
  /** Share of points whose part is predicted. */
  readonly accuracy: number;
  /** Mean over clouds of the mean over parts of intersection over union. */
  readonly meanIou: number;
  /** [clouds] */
  readonly perCloud: readonly number[];
}

/**
 * Scores of part segmentation as ShapeNetPart counts them: a part that a cloud neither has nor is said to have counts as 1.
 * @param predicted parts of each cloud's points @param truth of the same lengths
 * @param partsOf parts that each cloud's class may have; all that occur anywhere when absent
 */
export function partScores(
  predicted: readonly ArrayLike<number>[],
  truth: readonly ArrayLike<number>[],
  partsOf?: (cloud: number) => readonly number[],
): PartScores {
  expect(
    predicted.length === truth.length &&
      truth.length > 0 &&
      truth.every((parts, i) => parts.length > 0 && parts.length === predicted[i]!.length),
    () => `partScores: ${predicted.length} predicted clouds for ${truth.length}, or of other lengths`,
  );
  const all = [...new Set([...predicted, ...truth].flatMap((parts) => Array.from(parts)))];
  let [right, points] = [0, 0];
  const perCloud = truth.map((parts, cloud) => {
    const own = predicted[cloud]!;
    const ious = (partsOf?.(cloud) ?? all).map((part) => {
      let [both, either] = [0, 0];
      for (let i = 0; i < parts.length; i++) {
        const [a, b] = [parts[i] === part, own[i] === part];
        both += Number(a && b);
        either += Number(a || b);
      }
      return either === 0 ? 1 : both / either;
    });
    for (let i = 0; i < parts.length; i++) right += Number(parts[i] === own[i]);
    points += parts.length;
    return ious.reduce((sum, iou) => sum + iou, 0) / ious.length;
  });
  const meanIou = perCloud.reduce((sum, iou) => sum + iou, 0) / perCloud.length;
  return { accuracy: right / points, meanIou, perCloud };
}
