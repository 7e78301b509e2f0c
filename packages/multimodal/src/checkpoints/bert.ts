/**
 * BERT's embeddings of words, places and segments, from which SimVTP starts: out of any state dict in the layout of Hugging
 * Face's BERT (`bert-base-uncased`: model.safetensors or pytorch_model.bin), whatever that model was trained for.
 */
import { expect, type ImportedForeign, type Keys, type RawTensor, resolveConfig } from "@unmask/core";
import { z } from "zod";
import { type SimvtpConfig, simvtp } from "../methods/simvtp.js";

type StateDict = ReadonlyMap<string, RawTensor>;

const PREFIXES = ["bert.embeddings.", "embeddings."];

/** Our names, and theirs; the oldest files call scale and shift of a norm otherwise. */
const NAMES = {
  "word_embeddings.weight": ["word_embeddings.weight"],
  "position_embeddings.weight": ["position_embeddings.weight"],
  "token_type_embeddings.weight": ["token_type_embeddings.weight"],
  "LayerNorm.weight": ["LayerNorm.weight", "LayerNorm.gamma"],
  "LayerNorm.bias": ["LayerNorm.bias", "LayerNorm.beta"],
} as const;

const prefixOf = (state: StateDict) =>
  PREFIXES.find((prefix) => state.has(`${prefix}word_embeddings.weight`));

/** Whether a state dict has BERT's embeddings. */
export const isBert = (state: StateDict): boolean => prefixOf(state) !== undefined;

/**
 * The embeddings under the names that `simvtp`, `smaug` and `dualEncoder` have for them, for `writeParameters` with
 * `strict: false`. The model has to have BERT's width and vocabulary.
 */
export function bertEmbeddings(state: StateDict): Map<string, RawTensor> {
  const prefix = prefixOf(state);
  return new Map(
    Object.entries(NAMES).map(([ours, theirs]) => {
      const found = theirs.map((name) => state.get(`${prefix}${name}`)).find((raw) => raw !== undefined);
      expect(
        found !== undefined,
        () => `bert import: no embeddings.${ours} among ${[...state.keys()].slice(0, 4).join(", ")}, ...`,
      );
      return [`text_embeddings.${ours}`, found] as const;
    }),
  );
}

const tokenizerSchema = z.looseObject({
  model: z.looseObject({ vocab: z.record(z.string(), z.int().nonnegative()) }),
});

/**
 * A SimVTP that has read nothing but knows BERT's words: all but its embeddings is new.
 * @param hints keys of the config, `vocabulary` among them where there is no `tokenizer`
 * @param tokenizer the contents of tokenizer.json
 */
export function importBert(
  state: StateDict,
  hints: Keys = {},
  tokenizer?: unknown,
): ImportedForeign & { readonly config: SimvtpConfig } {
  const parameters = bertEmbeddings(state);
  const [words, width] = parameters.get("text_embeddings.word_embeddings.weight")!.shape;
  const vocabulary = hints.vocabulary ?? vocabularyOf(tokenizer);
  expect(
    Array.isArray(vocabulary) && vocabulary.length === words,
    () =>
      `bert import: the file has ${words} words, ${Array.isArray(vocabulary) ? `the vocabulary ${vocabulary.length}` : "which of them is which is not known"}; give the lines of its vocab.txt as vocabulary, or its tokenizer.json`,
  );
  const config = resolveConfig(simvtp, {
    width,
    textPositions: parameters.get("text_embeddings.position_embeddings.weight")!.shape[0],
    ...hints,
    vocabulary,
  } as Parameters<typeof resolveConfig<typeof simvtp>>[1]);
  return { method: simvtp, config, parameters, optional: NEW };
}

/** Parameters that no BERT has; the last two are tables of numbers. */
const NEW = [
  ...["encoder.", "encoder_to_decoder.", "mask_token", "decoder.", "text_cls.", "vtm_head."],
  ...["text_embeddings.position_ids", "text_embeddings.token_type_ids"],
];

/** Words in the order of their ids. */
function vocabularyOf(tokenizer: unknown): string[] | undefined {
  const ids = tokenizerSchema.safeParse(tokenizer).data?.model.vocab;
  return ids && Object.keys(ids).sort((a, b) => ids[a]! - ids[b]!);
}
