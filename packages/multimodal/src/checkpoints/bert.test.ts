import {
  createModel,
  createRandom,
  encodeSafetensors,
  encodeTorchZip,
  findStateDict,
  flatten,
  parseSafetensors,
  parseTorch,
  type RawTensor,
  rawTensor,
  writeParameters,
} from "@unmask/core";
import { expect, it } from "vitest";
import { modality } from "../modality/index.js";
import { SPECIAL } from "../text/word-piece.js";
import { bertEmbeddings, importBert } from "./bert.js";

const words = [...SPECIAL, "cat", "##s", "dog"];
const random = createRandom(1);
const drawn = (...shape: number[]) => rawTensor(random.normals(shape.reduce((a, b) => a * b)), shape);

/** As Hugging Face's `BertForMaskedLM` saves a tiny one; `norm` names scale and shift. */
const bert = (prefix: string, [scale, shift] = ["weight", "bias"]): Map<string, RawTensor> =>
  new Map([
    [`${prefix}embeddings.word_embeddings.weight`, drawn(words.length, 8)],
    [`${prefix}embeddings.position_embeddings.weight`, drawn(16, 8)],
    [`${prefix}embeddings.token_type_embeddings.weight`, drawn(2, 8)],
    [`${prefix}embeddings.LayerNorm.${scale}`, drawn(8)],
    [`${prefix}embeddings.LayerNorm.${shift}`, drawn(8)],
    [`${prefix}embeddings.position_ids`, rawTensor(new Int32Array(16), [1, 16])],
    [`${prefix}encoder.layer.0.attention.self.query.weight`, drawn(8, 8)],
  ]);

const small = {
  ...{ depth: 1, heads: 2, decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 },
  video: { size: [2, 8, 8], patch: [2, 4, 4] },
};
const tokenizer = { model: { vocab: Object.fromEntries(words.map((word, id) => [word, id]).reverse()) } };

it("takes BERT's words, places and segments into a SimVTP, all else being new", () => {
  const published = bert("bert.");
  const files = {
    parameters: parseSafetensors(encodeSafetensors(published)).tensors,
    json: { "tokenizer.json": tokenizer },
  };
  const { method, config, parameters, optional } = modality.importModel!(files, small);
  expect(method.id).toBe("simvtp");
  expect(config).toMatchObject({ vocabulary: words, width: 8, textPositions: 16 });
  const model = createModel(method, config);
  const { missing, unexpected } = writeParameters(model.params, parameters, { strict: false });
  expect(unexpected).toEqual([]);
  expect(missing.filter((path) => !optional.some((start) => path.startsWith(start)))).toEqual([]);
  const rows = flatten(model.params).get("text_embeddings.word_embeddings.weight")!;
  expect(rows.dataSync()).toEqual(
    new Float32Array(published.get("bert.embeddings.word_embeddings.weight")!.bytes.buffer),
  );
  model.dispose();
});

it("reads torch files of a bare encoder, with the oldest names of its norm", () => {
  const published = bert("", ["gamma", "beta"]);
  const state = findStateDict(parseTorch(encodeTorchZip(published)));
  const { parameters } = importBert(state, { ...small, vocabulary: words });
  expect(parameters.get("text_embeddings.LayerNorm.weight")).toEqual(
    published.get("embeddings.LayerNorm.gamma"),
  );
});

it("says what a file lacks, and which words are asked for", () => {
  const torn = bert("");
  torn.delete("embeddings.LayerNorm.bias");
  expect(() => bertEmbeddings(torn)).toThrow("no embeddings.LayerNorm.bias among");
  expect(() => importBert(bert(""))).toThrow("give the lines of its vocab.txt as vocabulary");
  expect(() => importBert(bert(""), { vocabulary: [...SPECIAL] })).toThrow("8 words, the vocabulary 5");
  expect(() => modality.importModel!({ parameters: new Map() }, {})).toThrow("CROMA");
});
