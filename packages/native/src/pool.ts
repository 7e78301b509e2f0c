/**
 * Memory of disposed tensors, kept for the next ones. A fresh typed array costs zeroing and page faults, which is
 * more than most kernels take.
 */

/** Bytes of the size class that holds `bytes`: multiples of 64, above 4 KB eight classes per power of two. */
export function sizeClass(bytes: number): number {
  if (bytes <= 4096) return Math.max(64, Math.ceil(bytes / 64) * 64);
  const step = 2 ** (Math.floor(Math.log2(bytes - 1)) - 3);
  return Math.ceil(bytes / step) * step;
}

/** From here a buffer may serve a tensor that is smaller by up to `SLACK`. */
const LARGE = 2 ** 18;
const SLACK = 1.5;

export class BufferPool {
  readonly #free = new Map<number, ArrayBuffer[]>();
  #idle = 0;

  /**
   * @param allocate makes a buffer of so many bytes
   * @param ceiling bytes of unused buffers kept at most; what is given back beyond it is left to the collector
   */
  constructor(
    private readonly allocate: (bytes: number) => ArrayBuffer,
    private ceiling: number,
  ) {}

  /** Bytes held for reuse. */
  get idle(): number {
    return this.#idle;
  }

  /** A buffer of at least `bytes` bytes, with arbitrary contents. */
  take(bytes: number): ArrayBuffer {
    const size = sizeClass(bytes);
    const buffer = this.#fitting(size);
    if (buffer === undefined) return this.allocate(size);
    this.#idle -= buffer.byteLength;
    return buffer;
  }

  /** A free buffer of the class, or a large one of the next classes: pages that are there beat fresh ones. */
  #fitting(size: number): ArrayBuffer | undefined {
    const most = size < LARGE ? size : SLACK * size;
    for (let fits = size; fits <= most; fits = sizeClass(fits + 1)) {
      const buffer = this.#free.get(fits)?.pop();
      if (buffer !== undefined) return buffer;
    }
    return undefined;
  }

  /** Returns a buffer made by `take` that nobody else can see any more. */
  give(buffer: ArrayBuffer): void {
    const size = buffer.byteLength;
    if (this.#idle + size > this.ceiling) return;
    const list = this.#free.get(size);
    if (list === undefined) this.#free.set(size, [buffer]);
    else list.push(buffer);
    this.#idle += size;
  }

  /** Lets go of unused buffers, the largest first, until at most `bytes` are held. */
  trim(bytes = 0): void {
    for (const size of [...this.#free.keys()].sort((a, b) => b - a)) {
      const list = this.#free.get(size)!;
      while (list.length > 0 && this.#idle > bytes) {
        list.pop();
        this.#idle -= size;
      }
      if (list.length === 0) this.#free.delete(size);
    }
  }
}
