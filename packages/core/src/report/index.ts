export {
  type EvaluationInput,
  type EvaluationRecord,
  evaluationKey,
  parseEvaluation,
  resolveEvaluation,
} from "./evaluation-record.js";
