export {
  type EvaluationInput,
  type EvaluationRecord,
  evaluationKey,
  parseEvaluation,
  resolveEvaluation,
} from "./evaluation-record.js";
export { type ChartSeries, type LineChartOptions, lineChart } from "./line-chart.js";
export { drawText, textSize, wrapText } from "./pixel-text.js";
