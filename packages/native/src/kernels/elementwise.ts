/** Elementwise operations on float32; other types stay with tfjs's kernels. */
import type * as tf from "@tensorflow/tfjs";
import type { Bytes, Floats, Storage } from "../memory.js";
import {
  broadcastShape,
  broadcastStrides,
  type Call,
  collapse,
  isFloat,
  isStored,
  type Kernels,
  memoryOf,
  type NativeKernel,
  sizeOf,
  stridesOf,
} from "./kernel.js";

/** In the order of `Unary` in cpp/kernels/exports.h, by tfjs's kernel names. */
const unaryOps = [
  ...[
    "Neg",
    "Abs",
    "Square",
    "Sqrt",
    "Rsqrt",
    "Exp",
    "Log",
    "Relu",
    "Relu6",
    "Elu",
    "Sigmoid",
    "Tanh",
    "Erf",
  ],
  ...["Reciprocal", "Step", "Sign", "Floor", "Ceil", "Round", "LeakyRelu", "ClipByValue", "Softplus"],
];

/** In the order of `Binary` in cpp/kernels/exports.h; the comparisons come last and give bool. */
const arithmetic = [
  "Add",
  "Sub",
  "Multiply",
  "RealDiv",
  "Maximum",
  "Minimum",
  "SquaredDifference",
  "DivNoNan",
  "EluGrad",
  "Pow",
];
const comparisons = ["Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual"];
const binaryOps = [...arithmetic, ...comparisons];

function unary(op: number, parameters: (attrs: Call["attrs"]) => [number, number]): NativeKernel {
  return ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    if (!isFloat(x)) return undefined;
    const { info, array } = backend.create(x.shape);
    const [p, q] = parameters(attrs);
    backend.addon.unary(op, backend.floats(x), array, sizeOf(x.shape), p, q);
    return info;
  };
}

const parameters: Record<string, (attrs: Call["attrs"]) => [number, number]> = {
  Step: ({ alpha }) => [alpha as number, 0],
  LeakyRelu: ({ alpha }) => [alpha as number, 0],
  ClipByValue: ({ clipValueMin, clipValueMax }) => [clipValueMin as number, clipValueMax as number],
};

function binary(op: number): NativeKernel {
  const dtype = op < arithmetic.length ? "float32" : "bool";
  return ({ inputs, backend }) => {
    const [a, b] = "dy" in inputs ? [inputs.dy, inputs.y] : [inputs.a, inputs.b];
    if (!isFloat(a) || !isFloat(b)) return undefined;
    const shape = broadcastShape(a.shape, b.shape);
    if (shape === undefined) return undefined;
    const created = backend.create(shape, dtype);
    const { info } = created;
    const array = created.array as Floats | Bytes;
    if (array.length === 0) return info;
    const walk = collapse(shape, broadcastStrides(a.shape, shape), broadcastStrides(b.shape, shape));
    const [aStrides, bStrides] = walk.strides as [Int32Array, Int32Array];
    const [x, y] = [backend.floats(a), backend.floats(b)];
    backend.addon.binary(op, x, y, array, walk.rank, walk.shape, aStrides, bStrides);
    return info;
  };
}

function addN({ inputs, backend }: Call): tf.TensorInfo | undefined {
  const terms = Object.values(inputs) as tf.TensorInfo[];
  if (!terms.every(isFloat)) return undefined;
  const { info, array } = backend.create(terms[0]!.shape);
  backend.addon.add_n(
    terms.map((term) => backend.floats(term)),
    array,
    array.length,
  );
  return info;
}

function select({ inputs, backend }: Call): tf.TensorInfo | undefined {
  const { condition, t, e } = inputs;
  if (!isFloat(t) || !isFloat(e) || condition!.dtype !== "bool") return undefined;
  const size = sizeOf(t.shape);
  if (sizeOf(condition!.shape) !== size || sizeOf(e.shape) !== size) return undefined;
  const { info, array } = backend.create(t.shape);
  backend.addon.select(backend.bytes(condition!), backend.floats(t), backend.floats(e), array, size);
  return info;
}

function fill({ attrs, backend }: Call): tf.TensorInfo | undefined {
  const { shape, value, dtype } = attrs as { shape: number[]; value: number | string; dtype?: string };
  if (typeof value !== "number" || (dtype !== undefined && dtype !== "float32")) return undefined;
  const { info, array } = backend.create(shape);
  backend.addon.fill(array, array.length, value);
  return info;
}

const likeFloats =
  (value: number): NativeKernel =>
  ({ inputs, backend }) => {
    const { x } = inputs;
    if (!isFloat(x)) return undefined;
    const { info, array } = backend.create(x.shape);
    backend.addon.fill(array, array.length, value);
    return info;
  };

/** Conversions between the numeric types; complex and string tensors stay with tfjs. */
const cast: NativeKernel = ({ inputs, attrs, backend }) => {
  const x = inputs.x!;
  const dtype = attrs.dtype as string;
  if (x.dtype === dtype || !isStored(x.dtype) || !isStored(dtype)) return undefined;
  const { info, array } = backend.create(x.shape, dtype);
  const [from, to] = [memoryOf(backend, x), array].map((memory) => backend.elements(memory)) as [
    Storage,
    Storage,
  ];
  if (dtype === "bool") for (let i = 0; i < to.length; i++) to[i] = from[i] === 0 ? 0 : 1;
  else to.set(from);
  return info;
};

/** x broadcast to a shape, by a walk with strides of 0. */
const broadcastTo: NativeKernel = ({ inputs, attrs, backend }) => {
  const x = inputs.x!;
  const shape = attrs.shape as number[];
  if (!isFloat(x) || broadcastShape(x.shape, shape)?.join() !== shape.join()) return undefined;
  const { info, array } = backend.create(shape);
  if (array.length === 0) return info;
  const walk = collapse(shape, broadcastStrides(x.shape, shape), stridesOf(shape));
  const [from, to] = walk.strides as [Int32Array, Int32Array];
  backend.addon.copy(backend.floats(x), 0, from, array, 0, to, walk.rank, walk.shape, 4);
  return info;
};

export const elementwiseKernels: Kernels = {
  ...Object.fromEntries(unaryOps.map((name, op) => [name, unary(op, parameters[name] ?? (() => [0, 0]))])),
  ...Object.fromEntries(binaryOps.map((name, op) => [name, binary(op)])),
  AddN: addN,
  Select: select,
  Fill: fill,
  ZerosLike: likeFloats(0),
  OnesLike: likeFloats(1),
  Cast: cast,
  BroadcastTo: broadcastTo,
};
