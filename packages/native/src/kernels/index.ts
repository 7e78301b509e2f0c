import { attentionKernels } from "./attention.js";
import { convKernels } from "./conv.js";
import { edgeKernels } from "./edges.js";
import { elementwiseKernels } from "./elementwise.js";
import type { Kernels } from "./kernel.js";
import { layoutKernels } from "./layout.js";
import { linearKernels } from "./linear.js";
import { matmulKernels } from "./matmul.js";
import { optimizerKernels } from "./optimizer.js";
import { reduceKernels } from "./reduce.js";

/** Every kernel of this package by name. */
export const kernels: Kernels = {
  ...matmulKernels,
  ...linearKernels,
  ...attentionKernels,
  ...convKernels,
  ...edgeKernels,
  ...elementwiseKernels,
  ...reduceKernels,
  ...layoutKernels,
  ...optimizerKernels,
};
