/** Messages along the edges of a graph, and dropout; see cpp/kernels/edges.cc. */
import { type Kernels, requireShapes, sizeOf } from "./kernel.js";

const inside = (name: string, failed: number) => {
  if (failed !== 0) throw new Error(`${name}: an index is outside its rows`);
};

export const edgeKernels: Kernels = {
  UnmaskEdgeSum: ({ inputs, attrs, backend }) => {
    const { x, index, starts, weights, order } = inputs;
    const [rows, width] = x!.shape as [number, number];
    const heads = attrs.heads as number;
    const edges = sizeOf(index!.shape);
    const count = sizeOf(starts!.shape) - 1;
    requireShapes(
      width % heads === 0 &&
        (weights === undefined || sizeOf(weights.shape) === edges * heads) &&
        (order === undefined || sizeOf(order.shape) === edges),
      () => `UnmaskEdgeSum: expected ${edges} x ${heads} weights, got [${weights?.shape}]`,
    );
    const { info, array } = backend.create([count, width]);
    const own = weights === undefined ? null : backend.floats(weights);
    const places = order === undefined ? null : backend.ints(order);
    const graph = [backend.ints(index!), backend.ints(starts!), own, places] as const;
    const sizes = [rows, edges, count, heads, width] as const;
    inside("UnmaskEdgeSum", backend.addon.edge_sum(backend.floats(x!), ...graph, array, ...sizes));
    return [info];
  },

  UnmaskEdgeDot: ({ inputs, attrs, backend }) => {
    const { a, b, to, from } = inputs;
    const heads = attrs.heads as number;
    const width = a!.shape[1]!;
    const edges = sizeOf(to!.shape);
    requireShapes(
      b!.shape[1] === width && width % heads === 0 && sizeOf(from!.shape) === edges,
      () => `UnmaskEdgeDot: [${a!.shape}] and [${b!.shape}] do not fit ${edges} edges`,
    );
    const { info, array } = backend.create([edges, heads]);
    const rows = [backend.floats(a!), backend.floats(b!), backend.ints(to!), backend.ints(from!)] as const;
    const sizes = [a!.shape[0]!, b!.shape[0]!, edges, heads, width] as const;
    inside("UnmaskEdgeDot", backend.addon.edge_dot(...rows, array, ...sizes));
    return [info];
  },

  UnmaskEdgeSoftmax: ({ inputs, backend }) => {
    const { x, starts } = inputs;
    const [edges, heads] = x!.shape as [number, number];
    const { info, array } = backend.create(x!.shape);
    const sizes = [edges, sizeOf(starts!.shape) - 1, heads] as const;
    inside(
      "UnmaskEdgeSoftmax",
      backend.addon.edge_softmax(backend.floats(x!), backend.ints(starts!), array, ...sizes),
    );
    return [info];
  },

  UnmaskEdgeSoftmaxGrad: ({ inputs, backend }) => {
    const { dy, y, starts } = inputs;
    const [edges, heads] = y!.shape as [number, number];
    requireShapes(
      sizeOf(dy!.shape) === edges * heads,
      () => `UnmaskEdgeSoftmaxGrad: expected [${y!.shape}], got [${dy!.shape}]`,
    );
    const { info, array } = backend.create(y!.shape);
    const given = [backend.floats(dy!), backend.floats(y!), backend.ints(starts!)] as const;
    const sizes = [edges, sizeOf(starts!.shape) - 1, heads] as const;
    inside("UnmaskEdgeSoftmaxGrad", backend.addon.edge_softmax_grad(...given, array, ...sizes));
    return [info];
  },

  UnmaskDropout: ({ inputs, attrs, backend }) => {
    const { x } = inputs;
    const { info, array } = backend.create(x!.shape);
    backend.addon.dropout(
      backend.floats(x!),
      array,
      array.length,
      attrs.seed as number,
      attrs.rate as number,
    );
    return [info];
  },
};
