/** Skeletons as stick figures over time, in one SVG. */
import type { SkeletonReconstruction } from "../methods/skeleton-mae.js";

/** Bones by the number of joints: MSR Action3D's 20, NTU RGB+D's 25, OpenPose's 18. Others are drawn as points. */
const BONES: Readonly<Record<number, readonly (readonly [number, number])[]>> = {
  20: pairs("0-2 1-2 0-7 1-8 7-9 8-10 9-11 10-12 2-19 2-3 3-6 6-4 6-5 4-13 5-14 13-15 14-16 15-17 16-18"),
  25: pairs(
    "0-1 1-20 20-2 2-3 20-4 4-5 5-6 6-7 7-21 6-22 20-8 8-9 9-10 10-11 11-23 10-24 0-12 12-13 13-14 14-15 0-16 16-17 17-18 18-19",
  ),
  18: pairs("0-1 1-2 2-3 3-4 1-5 5-6 6-7 1-8 8-9 9-10 1-11 11-12 12-13 0-14 0-15 14-16 15-17"),
};

function pairs(text: string): (readonly [number, number])[] {
  return text.split(" ").map((pair) => pair.split("-").map(Number) as [number, number]);
}

const CELL = 90;
const SHOWN = 10;

/** Rows original, masked (hidden joints left out) and reconstructed; columns frames spread over the clip. */
export async function skeletonStrip(reconstruction: SkeletonReconstruction, clip: number): Promise<string> {
  const [, frames, joints, channels] = reconstruction.original.shape;
  const [original, reconstructed, hidden] = await Promise.all(
    [reconstruction.original, reconstruction.reconstructed, reconstruction.hidden].map((tensor) =>
      tensor.data(),
    ),
  );
  const at = (values: ArrayLike<number>, frame: number, joint: number, channel: number) =>
    values[((clip * frames + frame) * joints + joint) * channels + channel]!;
  const range = [0, 1].map((axis) => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let frame = 0; frame < frames; frame++)
      for (let joint = 0; joint < joints; joint++) {
        const value = at(original!, frame, joint, axis);
        [low, high] = [Math.min(low, value), Math.max(high, value)];
      }
    return [low, high] as const;
  });
  const extent = Math.max(...range.map(([low, high]) => high - low), 1e-6);
  const shown = Array.from({ length: Math.min(SHOWN, frames) }, (_, i) =>
    Math.floor((i * frames) / Math.min(SHOWN, frames)),
  );
  const rows = [
    { name: "original", values: original!, visibleOnly: false },
    { name: "masked", values: original!, visibleOnly: true },
    { name: "reconstructed", values: reconstructed!, visibleOnly: false },
  ];
  const parts = rows.flatMap(({ name, values, visibleOnly }, row) => [
    `<text x="4" y="${row * CELL + CELL / 2}" font-size="11" font-family="sans-serif" fill="#444">${name}</text>`,
    ...shown.map((frame, column) => {
      const place = (joint: number) =>
        [0, 1].map((axis) => {
          const [low, high] = range[axis]!;
          const unit = (at(values, frame, joint, axis) - (low + high) / 2) / extent; // -1/2 to 1/2
          return (CELL / 2 + (axis === 0 ? unit : -unit) * CELL * 0.9).toFixed(1);
        });
      const isHidden = (joint: number) => hidden![(clip * frames + frame) * joints + joint] === 1;
      const drawn = (joint: number) => !visibleOnly || !isHidden(joint);
      const bones = (BONES[joints] ?? [])
        .filter(([a, b]) => drawn(a) && drawn(b))
        .map(([a, b]) => {
          const [[x1, y1], [x2, y2]] = [place(a), place(b)];
          return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"/>`;
        });
      const dots = Array.from({ length: joints }, (_, joint) => joint)
        .filter(drawn)
        .map((joint) => {
          const [x, y] = place(joint);
          const fill = name === "reconstructed" && isHidden(joint) ? "#d33" : "#258";
          return `<circle cx="${x}" cy="${y}" r="1.8" fill="${fill}" stroke="none"/>`;
        });
      return `<g transform="translate(${90 + column * CELL} ${row * CELL})" stroke="#789">${bones.join("")}${dots.join("")}</g>`;
    }),
  ]);
  const size = [90 + shown.length * CELL, rows.length * CELL];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size[0]} ${size[1]}" width="${size[0]}" height="${size[1]}"><rect width="100%" height="100%" fill="#fff"/>${parts.join("\n")}</svg>\n`;
}
