export { type BarlowTwinsOptions, barlowTwins, crossCorrelation } from "./barlow-twins.js";
export { type ChamferOptions, chamfer } from "./chamfer.js";
export { cosine, cosineSimilarity, l2Normalise, tokenCosine } from "./cosine.js";
export {
  binaryCrossEntropy,
  type CrossEntropyOptions,
  crossEntropy,
  tokenCrossEntropy,
} from "./cross-entropy.js";
export { type InfoNceOptions, infoNce, type SimilarityOptions, similarityLogits } from "./info-nce.js";
export { type KlDistillationOptions, klDistillation } from "./kl-distillation.js";
export { l1, tokenL1 } from "./l1.js";
export { maskedMse, mse, tokenMse } from "./mse.js";
export { normaliseChannels, normaliseJoint, normaliseLayer } from "./normalise-target.js";
export { type NtXentOptions, ntXent } from "./nt-xent.js";
export { addPatchStatistics, type PatchStatistics } from "./patch-statistics.js";
export { maskedMean } from "./reduce.js";
export { type ScaledCosineOptions, scaledCosine, tokenScaledCosine } from "./scaled-cosine.js";
export { type SmoothL1Options, smoothL1, tokenSmoothL1 } from "./smooth-l1.js";
export { type SupervisedContrastiveOptions, supervisedContrastive } from "./supervised-contrastive.js";
export { type VicRegOptions, type VicRegTerms, vicReg } from "./vicreg.js";
