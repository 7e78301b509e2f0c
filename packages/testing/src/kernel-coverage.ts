/** Which of the kernels that training uses each engine has, as Markdown. */
import * as tf from "@tensorflow/tfjs";
import { probeEngines } from "./engines.js";

/** Kernels of forward passes, of their gradients, and of evaluation. */
const trainingKernels = [
  "Add AddN ArgMax AvgPool AvgPoolGrad BatchMatMul Cast ClipByValue Concat Conv2D Conv2DBackpropFilter",
  "Conv2DBackpropInput Cumsum DepthwiseConv2dNative DepthwiseConv2dNativeBackpropFilter",
  "DepthwiseConv2dNativeBackpropInput Elu EluGrad Erf Exp FusedBatchNorm GatherV2 LeakyRelu Log Max",
  "MaxPool MaxPoolGrad Mean MirrorPad Multiply Neg OneHot PadV2 Pow Prelu Prod RealDiv Relu ResizeBilinear",
  "ResizeBilinearGrad ResizeNearestNeighbor ResizeNearestNeighborGrad Rsqrt Select Sigmoid Slice Softmax Softplus",
  "SplitV Sqrt Square SquaredDifference Step Sub Sum Tanh Tile TopK Transpose UnsortedSegmentSum _FusedMatMul",
]
  .join(" ")
  .split(" ");

/** A table with the kernels that some engine lacks, and a sentence with those that all of them have. */
export async function kernelCoverage(): Promise<string> {
  const engines = [...(await probeEngines()).available, "webgl"]; // tfjs registers webgl's kernels in Node too
  const has = new Map(
    engines.map((engine) => [
      engine,
      new Set(tf.getKernelsForBackend(engine).map(({ kernelName }) => kernelName)),
    ]),
  );
  const lacking = trainingKernels.filter((kernel) => engines.some((engine) => !has.get(engine)!.has(kernel)));
  const everywhere = trainingKernels.filter((kernel) => !lacking.includes(kernel));
  const cells = (values: readonly string[]) => `| ${values.join(" | ")} |`;
  const rows = lacking.map((kernel) =>
    cells([kernel, ...engines.map((engine) => (has.get(engine)!.has(kernel) ? "yes" : "no"))]),
  );
  const counts = engines.map((engine) => `${engine} ${has.get(engine)!.size}`).join(", ");
  return [
    `Kernels registered in all (TensorFlow.js ${tf.version.tfjs}): ${counts}.`,
    "",
    cells(["kernel that some engine lacks", ...engines]),
    cells(["---", ...engines.map(() => "---")]),
    ...rows,
    "",
    `On every engine above: ${everywhere.join(", ")}.`,
    "",
  ].join("\n");
}
