/** Pickles of NumPy arrays and SciPy's compressed rows (Planetoid's files): read without running anything of Python. */
import { FormatError } from "../errors.js";
import { ExpansionBudget, memorySource } from "./byte-source.js";
import { parseNpy } from "./npy.js";
import { PickleGlobal, type PickleHooks, unpickle } from "./pickle.js";
import {
  byteLength,
  bytesPerElement,
  type DType,
  gatherStrided,
  type RawTensor,
  rawTensor,
  rowMajorStrides,
  swapBytes,
  toFloat32,
  toInt32,
} from "./raw-tensor.js";
import { openZip } from "./zip.js";

/** Rows with few values, as SciPy's csr_matrix holds them. */
export interface SparseRows {
  readonly rows: number;
  readonly columns: number;
  /** The values of row i are those from starts[i] to starts[i + 1]. [rows + 1] */
  readonly starts: Int32Array;
  /** Column of each value. */
  readonly indices: Int32Array;
  readonly values: Float32Array;
}

/** dicts are Maps, lists and tuples arrays. */
export type NumpyValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | RawTensor
  | SparseRows
  | NumpyValue[]
  | Map<NumpyValue, NumpyValue>;

const WHAT = "pickle";
const REMEDY = "write it again as .npy or .npz (numpy.save, scipy.sparse.save_npz)";
const bad = (reason: string, what = WHAT) => new FormatError(`${what}: ${reason}; ${REMEDY}`);

const DTYPES: Readonly<Record<string, DType>> = {
  ...{ b1: "BOOL", i1: "I8", u1: "U8", i2: "I16", u2: "U16", i4: "I32", u4: "U32", i8: "I64", u8: "U64" },
  ...{ f2: "F16", f4: "F32", f8: "F64" },
};

class NumpyDType {
  bigEndian = false;
  constructor(readonly code: string) {}
}

/** An array or matrix until its state has come. */
class Unfilled {
  value: RawTensor | SparseRows | undefined;
  constructor(readonly kind: "array" | "rows") {}
}

/**
 * Reads a pickle of arrays, sparse matrices and plain values, protocols 2 to 5.
 * @throws FormatError when it is damaged or refers to anything else
 */
export function parseNumpyPickle(bytes: Uint8Array): NumpyValue {
  const budget = new ExpansionBudget(bytes.byteLength, WHAT);
  return resolved(unpickle(bytes, hooks(budget), WHAT, REMEDY)) as NumpyValue;
}

function hooks(budget: ExpansionBudget): PickleHooks {
  const rows = new PickleGlobal("scipy.sparse.csr_matrix", () => new Unfilled("rows"));
  const calls: Readonly<Record<string, PickleGlobal>> = {
    "numpy.ndarray": new PickleGlobal("numpy.ndarray"),
    "numpy.core.multiarray._reconstruct": new PickleGlobal("_reconstruct", () => new Unfilled("array")),
    "numpy._core.multiarray._reconstruct": new PickleGlobal("_reconstruct", () => new Unfilled("array")),
    "numpy.dtype": new PickleGlobal("numpy.dtype", ([code]) => {
      if (typeof code !== "string") throw bad("a dtype without a name");
      return new NumpyDType(code);
    }),
    "scipy.sparse.csr.csr_matrix": rows,
    "scipy.sparse._csr.csr_matrix": rows,
    "collections.defaultdict": new PickleGlobal("collections.defaultdict", () => new Map()),
    "__builtin__.list": new PickleGlobal("list"),
    "builtins.list": new PickleGlobal("list"),
    "_codecs.encode": new PickleGlobal("_codecs.encode", ([text, encoding]) => {
      if (typeof text !== "string" || encoding !== "latin1")
        throw bad("bytes are not written as latin1 text");
      return bytesOf(text, budget);
    }),
  };
  return {
    global(module, name) {
      const known = calls[`${module}.${name}`];
      if (known !== undefined && Object.hasOwn(calls, `${module}.${name}`)) return known;
      throw bad(
        `refers to ${`${module}.${name}`.slice(0, 120)}, which is not read because it could run code`,
      );
    },
    persistent() {
      throw bad("refers to something outside the file");
    },
    build(object, state) {
      if (object instanceof NumpyDType) object.bigEndian = Array.isArray(state) && state[1] === ">";
      else if (object instanceof Unfilled)
        object.value = object.kind === "array" ? arrayOf(state, budget) : rowsOf(state);
      else throw bad("an object has a state that is not understood");
    },
  };
}

/** Text of one character a byte, as Python 2 wrote bytes. */
function bytesOf(text: string, budget: ExpansionBudget): Uint8Array {
  budget.take(text.length);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255) throw bad("bytes are not written as latin1 text");
    bytes[i] = code;
  }
  return bytes;
}

/** ndarray.__reduce__: (version, shape, dtype, column order, bytes) */
function arrayOf(state: unknown, budget: ExpansionBudget): RawTensor {
  const [, shape, type, columnOrder, content] = Array.isArray(state) ? state : [];
  if (!(type instanceof NumpyDType) || !Array.isArray(shape)) throw bad("an array without shape or dtype");
  const dtype = Object.hasOwn(DTYPES, type.code) ? DTYPES[type.code]! : undefined;
  if (dtype === undefined)
    throw bad(`an array of dtype ${type.code.slice(0, 20)}, which holds no plain numbers`);
  const raw = typeof content === "string" ? bytesOf(content, budget) : content;
  const length = byteLength(dtype, shape, WHAT);
  if (!(raw instanceof Uint8Array) || raw.byteLength !== length)
    throw bad(`an array of shape (${shape.join(", ")}) whose bytes do not fit`);
  let bytes = type.bigEndian ? swapBytes(raw, bytesPerElement(dtype)) : raw;
  if (columnOrder === true) {
    budget.take(length);
    const strides = rowMajorStrides([...shape].reverse()).reverse();
    bytes = gatherStrided(bytes, bytesPerElement(dtype), shape, strides, 0);
  }
  return { dtype, shape: [...shape], bytes };
}

/** csr_matrix.__dict__ */
function rowsOf(state: unknown): SparseRows {
  const field = (name: string) => (state instanceof Map ? state.get(name) : undefined);
  const array = (name: string): RawTensor => {
    const value = field(name);
    const filled = value instanceof Unfilled ? value.value : undefined;
    if (filled === undefined || !("dtype" in filled)) throw bad(`a sparse matrix without its ${name}`);
    return filled;
  };
  const shape = field("_shape") ?? field("shape");
  if (!Array.isArray(shape)) throw bad("a sparse matrix without its shape");
  return checkedRows(shape, array("indptr"), array("indices"), array("data"));
}

function checkedRows(
  shape: readonly unknown[],
  starts: RawTensor,
  indices: RawTensor,
  data: RawTensor,
  what = WHAT,
): SparseRows {
  const [rows, columns] = shape;
  const sparse = {
    rows: rows as number,
    columns: columns as number,
    starts: toInt32(starts),
    indices: toInt32(indices),
    values: toFloat32(data),
  };
  const size = sparse.values.length;
  const sorted = sparse.starts.every(
    (start, i) => start >= (i === 0 ? 0 : sparse.starts[i - 1]!) && start <= size,
  );
  if (
    shape.length !== 2 ||
    ![rows, columns].every((n) => Number.isSafeInteger(n) && (n as number) >= 0) ||
    sparse.starts.length !== sparse.rows + 1 ||
    sparse.indices.length !== size ||
    !sorted ||
    sparse.indices.some((column) => column < 0 || column >= sparse.columns)
  )
    throw bad(`a sparse matrix of ${shape.join(" x ")} whose parts do not fit each other`, what);
  return sparse;
}

/**
 * Reads what scipy.sparse.save_npz wrote of a csr or a coo matrix; entries of a row keep their order.
 * @throws FormatError when it is damaged or of another layout
 */
export function parseSparseNpz(bytes: Uint8Array): SparseRows {
  const what = "sparse npz";
  const zip = openZip(memorySource(bytes), what);
  const member = (name: string) => {
    if (!zip.has(`${name}.npy`)) throw bad(`has no ${name}.npy; expected a csr or coo matrix`, what);
    return parseNpy(zip.read(`${name}.npy`));
  };
  const shape = Array.from(toInt32(member("shape")));
  if (zip.has("row.npy")) return rowsOfEntries(shape, member("row"), member("col"), member("data"), what);
  return checkedRows(shape, member("indptr"), member("indices"), member("data"), what);
}

/** Rows of a coo matrix: those without entries cost a file nothing, and memory here. */
const MOST_ROWS = 2 ** 24;

/** Entries (row, column, value) in any order, sorted by row. */
function rowsOfEntries(
  shape: readonly number[],
  row: RawTensor,
  column: RawTensor,
  data: RawTensor,
  what: string,
): SparseRows {
  const [of, columns, values] = [toInt32(row), toInt32(column), toFloat32(data)];
  const rows = shape[0]!;
  if (
    columns.length !== of.length ||
    values.length !== of.length ||
    !(rows >= 0 && rows <= MOST_ROWS) ||
    of.some((at) => at < 0 || at >= rows)
  )
    throw bad(`entries of a sparse matrix of ${shape.join(" x ")} that do not fit it`, what);
  const starts = new Int32Array(rows + 1);
  for (const at of of) starts[at + 1]!++;
  for (let at = 0; at < rows; at++) starts[at + 1]! += starts[at]!;
  const next = starts.slice();
  const [indices, sorted] = [new Int32Array(of.length), new Float32Array(of.length)];
  of.forEach((at, i) => {
    const place = next[at]!++;
    indices[place] = columns[i]!;
    sorted[place] = values[i]!;
  });
  const raw = (array: Int32Array | Float32Array) => rawTensor(array, [array.length]);
  return checkedRows(shape, raw(starts), raw(indices), raw(sorted), what);
}

/** Arrays and matrices in the place of what stood for them until their state had come. */
function resolved(root: unknown): unknown {
  const replace = (value: unknown) => {
    if (value instanceof Unfilled) {
      if (value.value === undefined) throw bad("an array without its values");
      return value.value;
    }
    if (value instanceof PickleGlobal || value instanceof NumpyDType)
      throw bad("a type in the place of a value");
    return value;
  };
  const result = replace(root);
  const pending = [result];
  const seen = new Set<unknown>();
  while (pending.length > 0) {
    const container = pending.pop();
    if (seen.has(container)) continue;
    seen.add(container);
    if (Array.isArray(container))
      for (const [i, value] of container.entries()) pending.push((container[i] = replace(value)));
    else if (container instanceof Map)
      for (const [key, value] of container) {
        const next = replace(value);
        container.set(key, next);
        pending.push(next);
      }
  }
  return result;
}
