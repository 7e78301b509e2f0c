import { attentionKernels } from "./attention.js";
import { batchNormKernels } from "./batch-norm.js";
import { convKernels } from "./conv.js";
import { depthwiseKernels } from "./depthwise.js";
import { edgeKernels } from "./edges.js";
import { elementwiseKernels } from "./elementwise.js";
import type { Kernels } from "./kernel.js";
import { layoutKernels } from "./layout.js";
import { linearKernels } from "./linear.js";
import { matmulKernels } from "./matmul.js";
import { optimizerKernels } from "./optimizer.js";
import { pointKernels } from "./points.js";
import { poolKernels } from "./pool.js";
import { reduceKernels } from "./reduce.js";
import { resizeKernels } from "./resize.js";
import { selectKernels } from "./select.js";

/** Every kernel of this package by name. */
export const kernels: Kernels = {
  ...matmulKernels,
  ...linearKernels,
  ...attentionKernels,
  ...convKernels,
  ...depthwiseKernels,
  ...poolKernels,
  ...resizeKernels,
  ...batchNormKernels,
  ...selectKernels,
  ...pointKernels,
  ...edgeKernels,
  ...elementwiseKernels,
  ...reduceKernels,
  ...layoutKernels,
  ...optimizerKernels,
};
