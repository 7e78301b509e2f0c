export {
  type ClusterEvaluation,
  type Clustering,
  type ClusterScores,
  clusterFeatures,
  clusterScores,
  type KMeansOptions,
  kMeans,
} from "./cluster.js";
export * from "./features.js";
export { type FewShotOptions, type FewShotScores, fewShot } from "./few-shot.js";
export * from "./finetune.js";
export { type KnnOptions, knn } from "./knn.js";
export type { FeatureRows } from "./labelled.js";
export * from "./linear-probe.js";
export { linearSvm, type SvmOptions, type SvmScores } from "./linear-svm.js";
export { type LogisticOptions, type LogisticScores, logisticRegression } from "./logistic-regression.js";
export * from "./metrics.js";
export {
  type Box,
  cutmix,
  drawMix,
  type Mix,
  type MixOptions,
  mixBatch,
  mixup,
  type RegularisationConfig,
  regularisationShape,
  softTargets,
} from "./mix.js";
export {
  adjustedRandIndex,
  clusteringAccuracy,
  clusteringF1,
  matchClusters,
  normalizedMutualInformation,
} from "./partitions.js";
export * from "./retrieval.js";
export type { Scores, SeededScores } from "./scores.js";
export { type Split, stratifiedSplit } from "./split.js";
export * from "./spread.js";
