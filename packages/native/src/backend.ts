/** The backend: the storage of tfjs's own CPU backend, with arrays that come from a pool. */
import * as tf from "@tensorflow/tfjs";
import { type Addon, addon, type Storage } from "./addon.js";
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
 * Storage of one tensor. The kernels of this package read `array`; anything else reads `values`, as tfjs's kernels
 * do, and may keep the array or a view of it: from then on the memory is left to the collector.
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

  get values(): tf.BackendValues | undefined {
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
  /** The elements of a numeric tensor as float32, in place where they are stored so. Read only. */
  floats(tensor: tf.TensorInfo): Float32Array;
  ints(tensor: tf.TensorInfo): Int32Array;
  /** A new tensor with arbitrary contents. */
  create<D extends keyof StorageOf = "float32">(shape: number[], dtype?: D): Created<StorageOf[D]>;
  /** A float32 array to write into that no other tensor shares; see `UnmaskAdamW`. */
  owned(tensor: tf.TensorInfo): Float32Array;
}

interface StorageOf {
  float32: Float32Array;
  int32: Int32Array;
  bool: Uint8Array;
}

interface Created<A> {
  readonly info: tf.TensorInfo;
  readonly array: A;
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
        array: array as StorageOf[D],
      };
    }

    floats(tensor: tf.TensorInfo): Float32Array {
      const { array } = this.stored(tensor.dataId);
      return array instanceof Float32Array ? array : Float32Array.from(array as Uint8Array);
    }

    ints(tensor: tf.TensorInfo): Int32Array {
      const { array } = this.stored(tensor.dataId);
      return array instanceof Int32Array ? array : Int32Array.from(array as Uint8Array);
    }

    owned(tensor: tf.TensorInfo): Float32Array {
      if (this.stored(tensor.dataId).refCount > 1 && tensor instanceof tf.Variable) separate(tensor);
      const stored = this.stored(tensor.dataId);
      if (stored.refCount > 1)
        throw new Error(
          `@unmask/native: a tensor of shape [${tensor.shape}] cannot be updated in place, another tensor shares its data; pass a variable`,
        );
      if (!stored.pooled || stored.exposed) {
        const source = this.floats(tensor);
        const array = new Float32Array(this.pool.take(source.byteLength), 0, source.length);
        array.set(source);
        stored.array = array;
        stored.pooled = true;
        stored.exposed = false;
      }
      return stored.array as Float32Array;
    }

    // A copy where the memory will be reused: tfjs hands the array itself to the caller.
    override readSync(dataId: object): tf.BackendValues {
      const stored = this.stored(dataId);
      return stored.pooled && !stored.exposed ? (stored.array as Storage).slice() : super.readSync(dataId);
    }

    override async read(dataId: object): Promise<tf.BackendValues> {
      return this.readSync(dataId);
    }

    override disposeData(dataId: object, force = false): boolean {
      if (!this.data.has(dataId)) return true;
      const stored = this.stored(dataId);
      const gone = super.disposeData(dataId, force);
      if (gone && stored.pooled && !stored.exposed) {
        this.pool.give((stored.array as Storage).buffer as ArrayBuffer);
        stored.exposed = true;
      }
      return gone;
    }

    override memory() {
      return { unreliable: false };
    }
  }
  return new Native();
}

/** Gives a variable data of its own. */
function separate(variable: tf.Variable): void {
  const copy = tf.tensor((variable.dataSync() as Float32Array).slice(), variable.shape, "float32");
  variable.assign(copy);
  copy.dispose();
}
