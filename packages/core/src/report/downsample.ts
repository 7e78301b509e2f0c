/** A course of any length in bounded memory: lowest, highest and mean of neighbouring points. */

/** Points of a line, x rising. */
export interface Points {
  readonly x: readonly number[];
  readonly y: readonly number[];
}

interface Bucket {
  count: number;
  sumX: number;
  sumY: number;
  min: { x: number; y: number };
  max: { x: number; y: number };
}

/** Takes points one by one; when `limit` buckets are full, neighbours are joined and each holds twice as many. */
export class Buckets {
  private buckets: Bucket[] = [];
  private size = 1;

  /** @param limit an even number */
  constructor(private readonly limit = 512) {}

  /** Points that are not finite are left out. */
  add(x: number, y: number): void {
    if (!Number.isFinite(x) || !Number.isFinite(y)) return;
    const last = this.buckets.at(-1);
    const own = { count: 1, sumX: x, sumY: y, min: { x, y }, max: { x, y } };
    if (last !== undefined && last.count < this.size) {
      joinInto(last, own);
      return;
    }
    if (this.buckets.length === this.limit) {
      this.buckets = pairs(this.buckets);
      this.size *= 2;
    }
    this.buckets.push(own);
  }

  /** Points that each bucket holds, the last one perhaps fewer. */
  get pointsPerBucket(): number {
    return this.size;
  }

  get length(): number {
    return this.buckets.length;
  }

  /** Lowest and highest point of each bucket: no peak is lost. */
  extremes(): Points {
    const points = this.buckets.flatMap(({ count, min, max }) => {
      if (count === 1) return [min];
      return min.x <= max.x ? [min, max] : [max, min];
    });
    return { x: points.map(({ x }) => x), y: points.map(({ y }) => y) };
  }

  /** Mean of each bucket. */
  means(): Points {
    return {
      x: this.buckets.map(({ sumX, count }) => sumX / count),
      y: this.buckets.map(({ sumY, count }) => sumY / count),
    };
  }

  /**
   * Means over a window of about 3 % of the course, nearer points weighing more. It grows from a single point at the
   * beginning, where a loss falls so steeply that its neighbours ahead would belie it.
   */
  smoothed(): Points {
    const { buckets } = this;
    const radius = Math.round(buckets.length * 0.015);
    const mean = (centre: number, of: (bucket: Bucket) => number) => {
      const reach = Math.min(radius, centre);
      let [sum, weights] = [0, 0];
      for (let i = centre - reach; i <= Math.min(centre + reach, buckets.length - 1); i++) {
        const bucket = buckets[i]!;
        const weight = reach + 1 - Math.abs(i - centre);
        sum += weight * of(bucket);
        weights += weight * bucket.count;
      }
      return sum / weights;
    };
    return { x: this.means().x, y: buckets.map((_, i) => mean(i, ({ sumY }) => sumY)) };
  }
}

function joinInto(to: Bucket, from: Bucket): void {
  to.count += from.count;
  to.sumX += from.sumX;
  to.sumY += from.sumY;
  if (from.min.y < to.min.y) to.min = from.min;
  if (from.max.y > to.max.y) to.max = from.max;
}

function pairs(buckets: readonly Bucket[]): Bucket[] {
  const joined: Bucket[] = [];
  for (let i = 0; i < buckets.length; i += 2) {
    const first = buckets[i]!;
    if (buckets[i + 1] !== undefined) joinInto(first, buckets[i + 1]!);
    joined.push(first);
  }
  return joined;
}
