/** Clouds as pictures: every point a small disc, nearer ones in front and darker, an orthographic view from above and aside. */

/** [height, width, 3], one byte a colour. */
export interface Picture {
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
}

export type Colour = readonly [number, number, number];

export interface PointLayer {
  /** [points, 3] */
  readonly points: Float32Array;
  readonly colour: Colour;
}

export interface RenderOptions {
  /** Side of the square picture in pixels. */
  readonly size: number;
  /** Angle around the vertical axis and above the horizon, in radians. */
  readonly turn?: number;
  readonly lift?: number;
  /** Axis that is drawn upright; default y. */
  readonly up?: "y" | "z";
  /** Box that fills the picture, so that several pictures share a scale; default that of the points. */
  readonly frame?: Frame;
}

/** Middle of the shown part of space and half its extent. */
export interface Frame {
  readonly middle: readonly [number, number, number];
  readonly reach: number;
}

/** The frame around some points; the farthest 2 % may lie outside, so that strays do not shrink the rest. */
export function frameOf(points: Float32Array): Frame {
  const middle = [0, 1, 2].map((axis) => {
    const own = points.filter((_, i) => i % 3 === axis && Number.isFinite(points[i]!)).sort();
    return own.length === 0 ? 0 : (own[0]! + own.at(-1)!) / 2;
  }) as [number, number, number];
  const distances = Float64Array.from({ length: points.length / 3 }, (_, i) =>
    Math.hypot(...[0, 1, 2].map((axis) => points[3 * i + axis]! - middle[axis]!)),
  )
    .filter(Number.isFinite)
    .sort();
  return { middle, reach: distances[Math.floor(0.98 * (distances.length - 1))] || 1 };
}

const PAPER = 255;
/** The farthest points keep this share of their colour's contrast. */
const FAINTEST = 0.35;

export function renderPoints(layers: readonly PointLayer[], options: RenderOptions): Picture {
  const { size, turn = 0.6, lift = 0.35, up = "y" } = options;
  const all = Float32Array.from(layers.flatMap(({ points }) => [...points]));
  const { middle, reach } = options.frame ?? frameOf(all);
  const pixels = new Uint8Array(size * size * 3).fill(PAPER);
  const depths = new Float32Array(size * size).fill(-Infinity);
  const scale = (0.47 * size) / reach;
  const radius = Math.max(1, size / 110);
  const [cosTurn, sinTurn, cosLift, sinLift] = [
    Math.cos(turn),
    Math.sin(turn),
    Math.cos(lift),
    Math.sin(lift),
  ];
  for (const { points, colour } of layers)
    for (let i = 0; i < points.length; i += 3) {
      const [x, y, z] = [0, 1, 2].map((axis) => points[i + axis]! - middle[axis]!) as [
        number,
        number,
        number,
      ];
      const [across, height, towards] = up === "y" ? [x, y, z] : [x, z, -y];
      const right = cosTurn * across + sinTurn * towards;
      const near = cosTurn * towards - sinTurn * across;
      const depth = cosLift * near + sinLift * height;
      const column = size / 2 + scale * right;
      const row = size / 2 - scale * (cosLift * height - sinLift * near);
      if (!Number.isFinite(column + row + depth)) continue;
      const share = Math.min(1, Math.max(0, (depth / reach + 1) / 2));
      splat(row, column, depth, FAINTEST + (1 - FAINTEST) * share, colour);
    }
  return { pixels, height: size, width: size };

  function splat(row: number, column: number, depth: number, strength: number, colour: Colour): void {
    for (let y = Math.ceil(row - radius); y <= row + radius; y++)
      for (let x = Math.ceil(column - radius); x <= column + radius; x++) {
        const inside = (y - row) ** 2 + (x - column) ** 2 <= radius ** 2;
        if (!inside || x < 0 || y < 0 || x >= size || y >= size || depths[y * size + x]! >= depth) continue;
        depths[y * size + x] = depth;
        colour.forEach((value, channel) => {
          pixels[3 * (y * size + x) + channel] = Math.round(PAPER + strength * (value - PAPER));
        });
      }
  }
}
