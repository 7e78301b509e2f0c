/** The Python names that a PyTorch checkpoint may mention, and what they become. Nothing of Python is run. */
import { FormatError } from "../errors.js";
import type { ExpansionBudget } from "./byte-source.js";
import { PickleGlobal, type PickleHooks } from "./pickle.js";
import {
  byteLength,
  bytesPerElement,
  type DType,
  gatherStrided,
  isContiguous,
  type RawTensor,
} from "./raw-tensor.js";

/** Storage classes and dtypes by their names in the module `torch`; the two share no name. */
export const STORAGE_DTYPES: Readonly<Record<string, DType>> = {
  FloatStorage: "F32",
  DoubleStorage: "F64",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
  ComplexFloatStorage: "C64",
};

export const TORCH_DTYPES: Readonly<Record<string, DType>> = {
  float32: "F32",
  float64: "F64",
  float16: "F16",
  bfloat16: "BF16",
  int64: "I64",
  int32: "I32",
  int16: "I16",
  int8: "I8",
  uint8: "U8",
  bool: "BOOL",
  complex64: "C64",
  uint16: "U16",
  uint32: "U32",
  uint64: "U64",
  float8_e4m3fn: "F8_E4M3",
  float8_e5m2: "F8_E5M2",
  float8_e8m0fnu: "F8_E8M0",
  float8_e4m3fnuz: "F8_E4M3FNUZ",
  float8_e5m2fnuz: "F8_E5M2FNUZ",
};

/** argparse.Namespace: a Map of its attributes. */
class Namespace extends Map<unknown, unknown> {}

/** One storage of the file; an untyped one counts in bytes and gets its dtype from the tensor. */
class Storage {
  constructor(
    readonly dtype: DType | undefined,
    readonly bytes: Uint8Array,
  ) {}
}

class NumpyDType {
  bigEndian = false;
  constructor(readonly code: string) {}
}

export interface TorchHooksOptions {
  /** Bytes of the storage of that key. */
  storage(key: string, bytes: number): Uint8Array;
  readonly budget: ExpansionBudget;
  /** Begins every message. */
  readonly what: string;
}

/** Hooks for the pickle inside a checkpoint. */
export function torchHooks({ storage, budget, what }: TorchHooksOptions): PickleHooks {
  const bad = (reason: string) => new FormatError(`${what}: ${reason}; save the file again with torch.save`);
  const items = (value: unknown): unknown[] => {
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw bad("a container is not made from a list");
    budget.take(16 * value.length); // a list can be copied many times over by naming it again
    return value;
  };
  const copyBytes = (value: unknown): Uint8Array => {
    if (value === undefined) return new Uint8Array(0);
    if (!(value instanceof Uint8Array)) throw bad("bytes are not made from bytes");
    return value;
  };
  const rebuild = (args: readonly unknown[], dtype: DType | undefined): RawTensor => {
    const [source, offset, shape, strides] = args;
    if (!(source instanceof Storage)) throw bad("a tensor has no storage");
    return rebuildTensor(source, dtype, offset, shape, strides);
  };

  /** A tensor must lie inside its storage; strides may repeat elements, within the budget. */
  function rebuildTensor(
    source: Storage,
    as: DType | undefined,
    offset: unknown,
    shape: unknown,
    strides: unknown,
  ) {
    const dtype = as ?? source.dtype;
    if (dtype === undefined) throw bad("a tensor has no dtype");
    if (!Array.isArray(shape) || !Array.isArray(strides) || shape.length !== strides.length)
      throw bad("a tensor's shape and strides are not lists of one length");
    const bytes = byteLength(dtype, shape, what); // also bounds the number of axes
    if (!isIndices(strides) || !isIndices([offset]))
      throw bad("a tensor's strides or offset are no integers");
    const size = bytesPerElement(dtype);
    const first = offset as number;
    const last = (shape as number[]).reduce((sum, n, axis) => sum + (n - 1) * strides[axis]!, first);
    if (bytes > 0 && !((last + 1) * size <= source.bytes.byteLength))
      throw bad(`a tensor of shape [${shape.join(", ")}] reaches outside its storage`);
    if (bytes > 0 && !isContiguous(shape, strides)) budget.take(bytes);
    return { dtype, shape: [...shape], bytes: gatherStrided(source.bytes, size, shape, strides, first) };
  }

  const calls: Record<string, (args: readonly unknown[]) => unknown> = {
    "torch._utils._rebuild_tensor_v2": (args) => rebuild(args, undefined),
    "torch._utils._rebuild_tensor_v3": (args) => {
      const dtype = typeof args[6] === "string" ? TORCH_DTYPES[args[6].replace("torch.", "")] : undefined;
      if (dtype === undefined) throw bad("a tensor has an unknown dtype");
      return rebuild(args, dtype);
    },
    "torch._utils._rebuild_parameter": ([data]) => data,
    "torch.Size": ([sizes]) => sizes ?? [],
    "torch.device": ([type, index]) => {
      if (typeof type !== "string") throw bad("a device has no name");
      return typeof index === "number" ? `${type}:${index}` : type;
    },
    "collections.OrderedDict": ([pairs]) => {
      const map = new Map<unknown, unknown>();
      for (const pair of items(pairs)) {
        if (!Array.isArray(pair) || pair.length !== 2) throw bad("a dict is not made from pairs");
        map.set(pair[0], pair[1]);
      }
      return map;
    },
    "argparse.Namespace": () => new Namespace(),
    "builtins.set": ([list]) => new Set(items(list)),
    "builtins.frozenset": ([list]) => new Set(items(list)),
    "builtins.bytearray": ([bytes]) => copyBytes(bytes),
    "builtins.bytes": ([bytes]) => copyBytes(bytes),
    "_codecs.encode": ([text, encoding]) => {
      if (typeof text !== "string" || encoding !== "latin1")
        throw bad("bytes are not written as latin1 text");
      budget.take(text.length);
      const bytes = new Uint8Array(text.length);
      for (let i = 0; i < bytes.length; i++) {
        const code = text.charCodeAt(i);
        if (code > 255) throw bad("bytes are not written as latin1 text");
        bytes[i] = code;
      }
      return bytes;
    },
    "numpy.dtype": ([code]) => {
      if (typeof code !== "string") throw bad("a NumPy dtype has no name");
      return new NumpyDType(code);
    },
    "numpy.core.multiarray.scalar": ([dtype, bytes]) => numpyScalar(dtype, bytes, bad),
  };

  return {
    global(module, name) {
      const full = `${MODULE_NAMES.get(module) ?? module}.${name}`;
      if (Object.hasOwn(calls, full)) return new PickleGlobal(full, calls[full]);
      if (module === "torch" && Object.hasOwn(TORCH_DTYPES, name)) return full;
      if (module === "torch" && Object.hasOwn(STORAGE_DTYPES, name)) return new PickleGlobal(full);
      if (full === "torch.storage.UntypedStorage") return new PickleGlobal(full);
      throw new FormatError(
        `${what}: refers to ${full.slice(0, 120)}, which is not read because it could run code; in Python, load the file and save only its state dict: torch.save({"model": model.state_dict()}, path)`,
      );
    },
    persistent(id) {
      const [kind, type, key, , count] = Array.isArray(id) ? id : [];
      if (
        kind !== "storage" ||
        !(type instanceof PickleGlobal) ||
        typeof key !== "string" ||
        !isIndices([count])
      )
        throw bad("a storage is not described as PyTorch does");
      const dtype = STORAGE_DTYPES[type.name.replace("torch.", "")];
      if (dtype === undefined && type.name !== "torch.storage.UntypedStorage")
        throw bad(`${type.name} is no storage`);
      return new Storage(dtype, storage(key, byteLength(dtype ?? "U8", [count], what)));
    },
    build(object, state) {
      if (object instanceof NumpyDType) object.bigEndian = Array.isArray(state) && state[1] === ">";
      else if (object instanceof Namespace && state instanceof Map) {
        budget.take(16 * state.size);
        for (const [key, value] of state) object.set(key, value);
      } else if (!(object instanceof Map)) throw bad("an object has a state that is not understood");
      // What is left is an OrderedDict; its attributes (a state dict's _metadata) say nothing about the weights.
    },
  };
}

/** Where Python 3 and NumPy 2 keep what older pickles name otherwise. */
const MODULE_NAMES = new Map([
  ["__builtin__", "builtins"],
  ["numpy._core.multiarray", "numpy.core.multiarray"],
]);

function isIndices(values: unknown): values is number[] {
  return Array.isArray(values) && values.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function numpyScalar(dtype: unknown, bytes: unknown, bad: (reason: string) => FormatError): unknown {
  const code = dtype instanceof NumpyDType ? dtype.code : "";
  if (!(dtype instanceof NumpyDType) || !(bytes instanceof Uint8Array) || !/^[biuf][1248]$/.test(code))
    throw bad(`a NumPy scalar of dtype ${code || "unknown"} is not a plain number`);
  if (bytes.byteLength !== Number(code[1])) throw bad("a NumPy scalar has the wrong number of bytes");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = !dtype.bigEndian;
  switch (code) {
    case "b1":
      return view.getUint8(0) !== 0;
    case "i1":
      return view.getInt8(0);
    case "u1":
      return view.getUint8(0);
    case "i2":
      return view.getInt16(0, little);
    case "u2":
      return view.getUint16(0, little);
    case "i4":
      return view.getInt32(0, little);
    case "u4":
      return view.getUint32(0, little);
    case "f4":
      return view.getFloat32(0, little);
    case "f8":
      return view.getFloat64(0, little);
    case "i8":
      return plainInteger(view.getBigInt64(0, little));
    case "u8":
      return plainInteger(view.getBigUint64(0, little));
    default:
      throw bad(`a NumPy scalar of dtype ${code} is not a plain number`);
  }
}

function plainInteger(value: bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/**
 * Replaces, in place, what has no meaning outside the pickle (a class or a NumPy dtype kept as a value) by its name.
 * Iterative, because containers may be nested as deep as the file is long and may hold themselves.
 */
export function nameLeftovers(root: unknown): unknown {
  const replace = (value: unknown) => {
    if (value instanceof PickleGlobal) return value.name;
    if (value instanceof NumpyDType) return value.code;
    if (value instanceof Storage) return `torch.storage of ${value.bytes.byteLength} bytes`;
    if (Array.isArray(value) || value instanceof Map || value instanceof Set) pending.push(value);
    return value;
  };
  const pending: unknown[] = [];
  const seen = new Set<unknown>();
  const result = replace(root);
  while (pending.length > 0) {
    const container = pending.pop();
    if (seen.has(container)) continue;
    seen.add(container);
    if (Array.isArray(container)) for (const [i, value] of container.entries()) container[i] = replace(value);
    else if (container instanceof Map)
      for (const [key, value] of container) container.set(key, replace(value));
    else if (container instanceof Set) for (const value of container) replace(value);
  }
  return result;
}
