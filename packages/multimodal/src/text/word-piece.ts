/** Texts as WordPiece tokens (Schuster and Nakajima 2012; BERT's form), and vocabularies learned from texts. */
import { Tokenizer } from "@huggingface/tokenizers";
import { expect } from "@unmask/core";

/** What every vocabulary has, BERT's names. */
export const SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const;

const tokenizers = new WeakMap<readonly string[], Tokenizer>();

function tokenizerOf(vocabulary: readonly string[]): Tokenizer {
  const known = tokenizers.get(vocabulary);
  if (known !== undefined) return known;
  const id = (word: string) => vocabulary.indexOf(word);
  const special = (word: string) => ({ id: word, ids: [id(word)], tokens: [word] });
  const piece = (word: string) => ({ SpecialToken: { id: word, type_id: 0 } });
  const tokenizer = new Tokenizer(
    {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: [],
      normalizer: {
        type: "BertNormalizer",
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
        lowercase: true,
      },
      pre_tokenizer: { type: "BertPreTokenizer" },
      post_processor: {
        type: "TemplateProcessing",
        single: [piece("[CLS]"), { Sequence: { id: "A", type_id: 0 } }, piece("[SEP]")],
        pair: [],
        special_tokens: { "[CLS]": special("[CLS]"), "[SEP]": special("[SEP]") },
      },
      decoder: { type: "WordPiece", prefix: "##", cleanup: true },
      model: {
        type: "WordPiece",
        unk_token: "[UNK]",
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 100,
        vocab: Object.fromEntries(vocabulary.map((word, i) => [word, i])),
      },
    },
    {},
  );
  tokenizers.set(vocabulary, tokenizer);
  return tokenizer;
}

/**
 * Ids of the tokens between [CLS] and [SEP], cut to `length` and filled up with [PAD]; lower case.
 * @returns ids [B, length], and 1 where a token is, 0 where padding is [B, length]
 */
export function encodeTexts(
  vocabulary: readonly string[],
  texts: readonly string[],
  length: number,
): { readonly ids: Int32Array; readonly present: Float32Array } {
  expect(length >= 3, `encodeTexts: ${length} tokens hold no word between [CLS] and [SEP]; use 3 at least`);
  const tokenizer = tokenizerOf(vocabulary);
  const ids = new Int32Array(texts.length * length).fill(vocabulary.indexOf("[PAD]"));
  const present = new Float32Array(ids.length);
  texts.forEach((text, b) => {
    const all = tokenizer.encode(text).ids;
    const kept = all.length <= length ? all : [...all.slice(0, length - 1), vocabulary.indexOf("[SEP]")];
    ids.set(kept, b * length);
    present.fill(1, b * length, b * length + kept.length);
  });
  return { ids, present };
}

/**
 * A vocabulary of at most `size` tokens: the special ones, every character as a beginning and as a continuation, then whole
 * words, the most frequent first. Whatever those texts say can be spelt with it.
 */
export function learnVocabulary(texts: Iterable<string>, size = 8192): string[] {
  const counts = new Map<string, number>();
  const characters = new Set<string>();
  for (const text of texts)
    for (const [word] of text
      .toLowerCase()
      .normalize("NFD")
      .replace(/\p{Mn}/gu, "")
      .matchAll(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
      for (const character of word) characters.add(character);
    }
  const letters = [...characters].sort();
  const base = [...SPECIAL, ...letters, ...letters.map((letter) => `##${letter}`)];
  expect(
    base.length <= size,
    `learnVocabulary: ${letters.length} characters do not fit ${size} tokens; raise the size`,
  );
  const known = new Set(base);
  const words = [...counts]
    .sort(([a, times], [b, other]) => other - times || (a < b ? -1 : 1))
    .flatMap(([word]) => (known.has(word) ? [] : [word]));
  return [...base, ...words.slice(0, size - base.length)];
}
