/** The backend: the storage of tfjs's own CPU backend, with arrays that come from a pool. */
import * as tf from "@tensorflow/tfjs";
import { type Addon, addon } from "./addon.js";
import type { Bytes, Floats, Ints, Memory, Storage } from "./memory.js";
import { BufferPool } from "./pool.js";

/** What tfjs's CPU backend keeps of a tensor. */
interface TensorData {
  values?: tf.BackendValues;
  dtype: tf.DataType;
  refCount: number;
  complexTensorInfos?: { real: tf.TensorInfo; imag: tf.TensorInfo };
}

/** The part of `MathBackendCPU` that is used here; tfjs exports the class through its registry only. */
interface CpuBackend extends tf.KernelBackend {
  data: tf.DataStorage<TensorData>;
  nextDataId(): number;
  makeTensorInfo(shape: number[], dtype: tf.DataType, values?: tf.BackendValues | string[]): tf.TensorInfo;
  disposeIntermediateTensorInfo(info: tf.TensorInfo): void;
  incRef(dataId: object): void;
  readSync(dataId: object): tf.BackendValues;
}

/**
 * Storage of one tensor. The kernels of this package read `array`, whose memory is of the pool as a rule: nobody else sees
 * it, so they may run later. Anything else reads `values`, as tfjs's kernels do, and may keep the array or a view of it:
 * from then on the memory is left to the collector, and kernels that use it are waited for.
 */
class Stored implements TensorData {
  complexTensorInfos?: { real: tf.TensorInfo; imag: tf.TensorInfo };
  exposed = false;

  constructor(
    public array: tf.BackendValues | undefined,
    public dtype: tf.DataType,
    public refCount: number,
    /** The array lies in a buffer of the pool. */
    public pooled: boolean,
  ) {}

  /** Only kernels see it. */
  get hidden(): boolean {
    return this.pooled && !this.exposed;
  }

  get values(): tf.BackendValues | undefined {
    addon().finish();
    this.exposed = true;
    return this.array;
  }

  set values(values: tf.BackendValues | undefined) {
    this.array = values;
    this.pooled = false;
  }
}

export interface NativeBackend extends CpuBackend {
  readonly addon: Addon;
  readonly pool: BufferPool;
  stored(dataId: object): Stored;
  /** A numeric tensor as float32, in place where it is stored so. Read only. */
  floats(tensor: tf.TensorInfo): Floats;
  ints(tensor: tf.TensorInfo): Ints;
  bytes(tensor: tf.TensorInfo): Bytes;
  /** The elements, once the kernels that were called have run. */
  elements<A extends Storage>(memory: Memory<A>): A;
  /** For a kernel, an array that JavaScript may change or drop when `settled` returns. */
  lend<A extends Storage>(array: A): Memory<A>;
  /** Runs a kernel, and waits for it if it uses what others can see. */
  settled<T>(run: () => T): T;
  /** A new tensor with arbitrary contents. */
  create<D extends keyof StorageOf = "float32">(shape: number[], dtype?: D): Created<StorageOf[D]>;
  /** A float32 array to write into that no other tensor shares; see `UnmaskAdamW`. */
  owned(tensor: tf.TensorInfo): Floats;
}

interface StorageOf {
  float32: Float32Array;
  int32: Int32Array;
  bool: Uint8Array;
}

export interface Created<A extends Storage> {
  readonly info: tf.TensorInfo;
  readonly array: Memory<A>;
}

interface ArrayType<A> {
  new (length: number): A;
  from(values: ArrayLike<number>): A;
}

const constructors = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;
const DEFAULT_CEILING = 2 ** 31;

/** Creates the backend on top of the CPU backend that tfjs has registered. */
export function createBackend(): NativeBackend {
  const cpu = tf.findBackend("cpu") as CpuBackend;
  const Base = cpu.constructor as new () => CpuBackend;

  class Native extends Base implements NativeBackend {
    readonly addon = addon();
    readonly pool = new BufferPool((bytes) => this.addon.buffer(bytes), DEFAULT_CEILING);
    /** By the kernels that are being called: kept from the collector until they are done. */
    #lent: Storage[] = [];

    stored(dataId: object): Stored {
      return this.data.get(dataId) as Stored;
    }

    override write(values: tf.BackendValues, _shape: number[], dtype: tf.DataType): object {
      return this.#store(values, dtype, false);
    }

    override move(
      dataId: object,
      values: tf.BackendValues,
      _shape: number[],
      dtype: tf.DataType,
      refCount: number,
    ): void {
      this.data.set(dataId, new Stored(values, dtype, refCount, false));
    }

    #store(values: tf.BackendValues | undefined, dtype: tf.DataType, pooled: boolean): object {
      const dataId = { id: this.nextDataId() };
      this.data.set(dataId, new Stored(values, dtype, 1, pooled));
      return dataId;
    }

    create<D extends keyof StorageOf = "float32">(shape: number[], dtype?: D): Created<StorageOf[D]> {
      const type = dtype ?? "float32";
      const size = shape.reduce((product, n) => product * n, 1);
      const Constructor = constructors[type];
      const buffer = this.pool.take(size * Constructor.BYTES_PER_ELEMENT);
      const array = new Constructor(buffer, 0, size);
      return {
        info: { dataId: this.#store(array, type, true), shape, dtype: type },
        array: array as unknown as Memory<StorageOf[D]>,
      };
    }

    floats(tensor: tf.TensorInfo): Floats {
      return this.#as(tensor, Float32Array);
    }

    ints(tensor: tf.TensorInfo): Ints {
      return this.#as(tensor, Int32Array);
    }

    bytes(tensor: tf.TensorInfo): Bytes {
      return this.#as(tensor, Uint8Array);
    }

    #as<A extends Storage>(tensor: tf.TensorInfo, type: ArrayType<A>): Memory<A> {
      const stored = this.stored(tensor.dataId);
      if (!(stored.array instanceof type)) return this.lend(type.from(this.#read(stored)));
      return stored.hidden ? (stored.array as unknown as Memory<A>) : this.lend(stored.array);
    }

    #read({ array }: Stored): Storage {
      this.addon.finish();
      return array as Storage;
    }

    elements<A extends Storage>(memory: Memory<A>): A {
      this.addon.finish();
      return memory as unknown as A;
    }

    lend<A extends Storage>(array: A): Memory<A> {
      this.#lent.push(array);
      return array as unknown as Memory<A>;
    }

    settled<T>(run: () => T): T {
      const before = this.#lent.length; // of a kernel that calls this one
      try {
        return run();
      } finally {
        if (this.#lent.length > before) {
          this.addon.finish();
          this.#lent.length = before;
        }
      }
    }

    owned(tensor: tf.TensorInfo): Floats {
      if (this.stored(tensor.dataId).refCount > 1 && tensor instanceof tf.Variable) separate(tensor);
      const stored = this.stored(tensor.dataId);
      if (stored.refCount > 1)
        throw new Error(
          `@unmask/native: a tensor of shape [${tensor.shape}] cannot be updated in place, another tensor shares its data; pass a variable`,
        );
      if (!stored.hidden) {
        const source = this.elements(this.floats(tensor));
        const array = new Float32Array(this.pool.take(source.byteLength), 0, source.length);
        array.set(source);
        stored.array = array;
        stored.pooled = true;
        stored.exposed = false;
      }
      return stored.array as unknown as Floats;
    }

    // A copy where the memory will be reused: tfjs hands the array itself to the caller.
    override readSync(dataId: object): tf.BackendValues {
      const stored = this.stored(dataId);
      return stored.hidden ? this.#read(stored).slice() : super.readSync(dataId);
    }

    override async read(dataId: object): Promise<tf.BackendValues> {
      return this.readSync(dataId);
    }

    override disposeData(dataId: object, force = false): boolean {
      if (!this.data.has(dataId)) return true;
      const stored = this.stored(dataId);
      const gone = super.disposeData(dataId, force);
      if (gone && stored.hidden) {
        this.pool.give((stored.array as Storage).buffer as ArrayBuffer);
        stored.exposed = true;
      }
      return gone;
    }

    override async time(kernels: () => void): Promise<tf.BackendTimingInfo> {
      const start = performance.now();
      kernels();
      this.addon.finish();
      return { kernelMs: performance.now() - start };
    }

    override memory() {
      return { unreliable: false };
    }
  }
  return new Native();
}

/** Gives a variable data of its own. */
function separate(variable: tf.Variable): void {
  const copy = tf.mul(variable, 1);
  variable.assign(copy);
  copy.dispose();
}
