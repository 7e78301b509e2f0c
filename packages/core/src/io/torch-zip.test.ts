import { describe, expect, it } from "vitest";
import { fixture, fuzz, fuzzRandom, outcome, truncationsRead } from "../../test/fuzz.js";
import { FormatError } from "../errors.js";
import { concatBytes, memorySource } from "./byte-source.js";
import { type RawTensor, toFloat32 } from "./raw-tensor.js";
import { parseSafetensors } from "./safetensors.js";
import { findStateDict, isRawTensor, parseTorch, type TorchValue } from "./torch-zip.js";
import { openZip } from "./zip.js";
import { encodeZip } from "./zip-write.js";

const asMap = (value: TorchValue | undefined) => value as Map<TorchValue, TorchValue>;

describe("a checkpoint as training scripts write it", () => {
  it.each(["checkpoint.pth", "checkpoint4.pth"])(
    "%s: every tensor has the bytes that PyTorch's copy has",
    (name) => {
      const { tensors } = parseSafetensors(fixture("checkpoint.safetensors"));
      const read = findStateDict(parseTorch(fixture(name)));
      expect([...read.keys()].sort()).toEqual([...tensors.keys()].sort());
      for (const [key, tensor] of tensors) expect([key, read.get(key)]).toEqual([key, tensor]);
    },
  );

  it.each(["checkpoint.pth", "checkpoint4.pth"])("%s: plain values come as they were", (name) => {
    const top = asMap(parseTorch(fixture(name)));
    expect(top.get("epoch")).toBe(399);
    expect(Object.fromEntries(asMap(top.get("args")))).toEqual({
      lr: 1.5e-4,
      blr: null,
      model: "mae_vit_base",
      norm_pix_loss: true,
      betas: [0.9, 0.95],
    });
    expect(top.get("scalars")).toEqual([3.5, 0.5, -7, true, 200]);
    expect(top.get("torch")).toEqual(["torch.float32", "cuda:1", "cpu", [2, 3]]);
    expect(top.get("plain")).toEqual([
      ...[1, -1, 70000, 2 ** 40, -(2n ** 80n), 1e-3, null, true, "text é"],
      Uint8Array.from([...new TextEncoder().encode("bytes"), 0xff]),
      new TextEncoder().encode("x"),
      new Set([1]),
      new Set([2]),
    ]);
    expect(toFloat32(asMap(top.get(3)).get("step") as RawTensor)[0]).toBe(10);
  });

  it("keeps shared storages shared", () => {
    const state = findStateDict(parseTorch(fixture("checkpoint.pth")));
    expect(state.get("shared")!.bytes.buffer).toBe(state.get("0.weight")!.bytes.buffer);
    expect(state.get("slice")!.shape).toEqual([2, 2]);
    expect([...toFloat32(state.get("expanded")!)]).toEqual([7, 7, 7, 7, 7, 8, 8, 8, 8, 8]);
  });

  it.each(["deflated.pth", "no_crc.pth"])(
    "%s: reads deflated zip64 entries and files without checksums",
    (name) => {
      const state = findStateDict(parseTorch(fixture(name)));
      expect([...state.keys()]).toEqual(["a", "b"]); // `module.` is taken off
      expect([...toFloat32(state.get("a")!)]).toEqual([0, 1, 2]);
    },
  );
});

describe("findStateDict", () => {
  const tensor: RawTensor = { dtype: "U8", shape: [1], bytes: Uint8Array.of(1) };
  const dict = (entries: Record<string, TorchValue>) =>
    new Map<TorchValue, TorchValue>(Object.entries(entries));

  it("looks under model, state_dict, module, base_model, then at the top", () => {
    const weights = dict({ w: tensor });
    for (const key of ["model", "state_dict", "module", "base_model"])
      expect(findStateDict(dict({ epoch: 3, [key]: weights })).get("w")).toBe(tensor);
    expect([...findStateDict(dict({ a: tensor, epoch: 3 })).keys()]).toEqual(["a"]);
    expect([...findStateDict(dict({ model: "mae_vit", state_dict: weights })).keys()]).toEqual(["w"]);
  });

  it("joins a dict of state dicts, and only one of nothing else", () => {
    const parts = dict({ encoder: dict({ w: tensor }), head: dict({ w: tensor, b: tensor }) });
    expect([...findStateDict(parts).keys()]).toEqual(["encoder.w", "head.w", "head.b"]);
    expect(() => findStateDict(dict({ encoder: dict({ w: tensor }), epoch: 3 }))).toThrow(
      "pick the state dict",
    );
  });

  it("takes module. off only when every name has it", () => {
    expect([...findStateDict(dict({ "module.a": tensor, "module.b": tensor })).keys()]).toEqual(["a", "b"]);
    expect([...findStateDict(dict({ "module.a": tensor, b: tensor })).keys()]).toEqual(["module.a", "b"]);
  });

  it("says what it found when there are no tensors", () => {
    expect(() => findStateDict(dict({ optimizer: 1 }))).toThrow(/got the keys optimizer/);
    expect(() => findStateDict([tensor])).toThrow(FormatError);
  });
});

describe("refusals", () => {
  it("names a global that could run code, and the old format", () => {
    expect(() => parseTorch(fixture("hostile.pth"))).toThrow(/refers to posix\.system.*could run code/);
    expect(() => parseTorch(fixture("legacy.pth"))).toThrow(/before PyTorch 1\.6.*torch\.save/);
    expect(() => parseTorch(new TextEncoder().encode("<html>"))).toThrow(/not a zip archive/);
  });

  it("takes no prefix for a whole file, and damage only ends in FormatError", () => {
    for (const name of ["no_crc.pth", "deflated.pth", "checkpoint.pth"])
      expect([name, truncationsRead(parseTorch, fixture(name))]).toEqual([name, 0]);
    for (const name of ["no_crc.pth", "deflated.pth", "checkpoint.pth", "checkpoint4.pth"])
      fuzz(parseTorch, fixture(name), 1000);
    fuzzRandom(parseTorch, [0x50, 0x4b, 3, 4]);
  });

  it("ends in FormatError or a value when the pickle is damaged under a right checksum", () => {
    for (const name of ["checkpoint.pth", "checkpoint4.pth"]) {
      const zip = openZip(memorySource(fixture(name)), "test");
      const entries = zip.names.map((entry) => ({ name: entry, bytes: zip.read(entry) }));
      const pickle = entries.find((entry) => entry.name.endsWith("/data.pkl"))!;
      const parse = (bytes: Uint8Array) =>
        parseTorch(
          concatBytes(encodeZip(entries.map((entry) => (entry === pickle ? { ...pickle, bytes } : entry)))),
        );
      expect(outcome(() => parse(pickle.bytes))).toBe("read");
      expect(truncationsRead(parse, pickle.bytes)).toBe(0);
      fuzz(parse, pickle.bytes);
    }
  });

  it("notices damage to weights by the checksum", () => {
    const bytes = fixture("checkpoint.pth");
    const clean = findStateDict(parseTorch(fixture("checkpoint.pth"))).get("0.weight")!;
    bytes[clean.bytes.byteOffset]! ^= 1;
    expect(() => parseTorch(bytes)).toThrow(/checksum of checkpoint\/data\/\d+ is wrong/);
  });
});

const text = (value: string) => [...new TextEncoder().encode(value)];
const string = (value: string) => [0x8c, value.length, ...text(value)];
const global = (name: string) => text(`c${name.replace(" ", "\n")}\n`);
const long = (value: number) => [0x8a, 8, ...new Uint8Array(BigInt64Array.of(BigInt(value)).buffer)];
const tuple = (...items: number[][]) => [0x28, ...items.flat(), 0x74];
const STOP = 0x2e;
const REDUCE = 0x52;

/** A checkpoint of one 16-byte storage and the given pickle. */
function checkpoint(pickle: readonly number[], storage = new Uint8Array(16)): Uint8Array {
  return concatBytes(
    encodeZip([
      { name: "archive/data.pkl", bytes: Uint8Array.from([0x80, 2, ...pickle, STOP]) },
      { name: "archive/data/0", bytes: storage },
    ]),
  );
}

function tensor(offset: number, shape: number[], strides: number[], count = 4): number[] {
  const persistent = [
    ...tuple(string("storage"), global("torch FloatStorage"), string("0"), string("cpu"), long(count)),
    0x51,
  ];
  const args = tuple(
    persistent,
    long(offset),
    tuple(...shape.map(long)),
    tuple(...strides.map(long)),
    [0x89],
    [0x4e],
  );
  return [...global("torch._utils _rebuild_tensor_v2"), ...args, REDUCE];
}

describe("hostile pickles", () => {
  it("reads the tensor that the following cases distort", () => {
    expect(parseTorch(checkpoint(tensor(1, [3], [1])))).toMatchObject({ dtype: "F32", shape: [3] });
  });

  it.each<[string, number[]]>([
    ["a tensor past the end of its storage", tensor(2, [3], [1])],
    ["strides that reach past the end", tensor(0, [2, 2], [3, 1])],
    ["a negative offset", tensor(-1, [1], [1])],
    ["negative strides", tensor(3, [4], [-1])],
    ["a negative axis", tensor(0, [-1], [1])],
    ["more strides than axes", tensor(0, [2], [1, 1])],
    ["a storage of another size", tensor(0, [1], [1], 3)],
    ["a tensor expanded beyond reason", tensor(0, [2 ** 20, 2 ** 20], [0, 0])],
    ["a shape beyond 2^53", tensor(0, [2 ** 40, 2 ** 40], [0, 0])],
    ["too many axes", tensor(0, new Array<number>(65).fill(1), new Array<number>(65).fill(1))],
    [
      "many tensors that each expand within reason",
      Array.from({ length: 40 }, () => tensor(0, [2 ** 20], [0])).flat(),
    ],
    [
      "a storage that is not there",
      tensor(0, [1], [1]).map((byte, i, all) => (byte === 0x30 && all[i - 1] === 1 ? 0x39 : byte)),
    ],
    ["a call of a class that may only be named", [...global("torch FloatStorage"), 0x29, REDUCE]],
    ["a call of a number", [0x4b, 1, 0x29, REDUCE]],
    ["arguments that are no tuple", [...global("torch Size"), 0x4b, 1, REDUCE]],
    ["eval", [...global("builtins eval"), ...tuple(string("1")), REDUCE]],
    ["an attribute of an allowed module", [...global("torch hub.load"), 0x29, REDUCE]],
    ["a name that every JavaScript object has", [...global("torch constructor")]],
    ["an instance by STACK_GLOBAL", [...string("os"), ...string("system"), 0x93]],
    ["INST, which makes an object", text("ios\nsystem\n")],
    ["OBJ", [0x28, ...global("os system"), 0x6f]],
    ["an extension code", [0x82, 1]],
    ["an external buffer", [0x97]],
    ["an empty stack", []],
    ["a missing memo entry", [0x68, 9]],
    ["an end without a mark", [0x74]],
    ["a text longer than the file", [0x58, 0xff, 0xff, 0xff, 0xff]],
    ["bytes of 2^63", [0x8e, 0, 0, 0, 0, 0, 0, 0, 0x80]],
    ["an integer of 100,000 bytes", [0x8b, 0xa0, 0x86, 1, 0, ...new Array<number>(100_000).fill(1)]],
    ["a dict with half an entry", [0x7d, 0x28, 0x4e, 0x75]],
    ["items for a dict", [0x7d, 0x4e, 0x61]],
    ["three million containers", new Array<number>(3_000_000).fill(0x7d)],
    [
      "a NumPy scalar of objects",
      [
        ...global("numpy dtype"),
        ...tuple(string("O8")),
        REDUCE,
        0x71,
        0,
        ...global("numpy.core.multiarray scalar"),
        0x68,
        0,
        ...tuple(string("x")),
        0x86,
        REDUCE,
      ],
    ],
    ["state for a list", [0x5d, 0x4e, 0x62]],
  ])("refuses %s", (_, pickle) => {
    expect(outcome(() => parseTorch(checkpoint(pickle)))).toBe("refused");
  });

  it("does not follow text that names itself again and again", () => {
    // Each list holds the one before it ten times: ten to the ninth items if anything were to unfold them.
    const nested = [0x5d, 0x71, 0];
    for (let depth = 1; depth < 10; depth++)
      nested.push(0x28, ...Array.from({ length: 10 }, () => [0x68, depth - 1]).flat(), 0x6c, 0x71, depth);
    expect(outcome(() => parseTorch(checkpoint(nested)))).toBe("read");
    expect(outcome(() => parseTorch(checkpoint([...global("torch device"), ...nested, 0x85, REDUCE])))).toBe(
      "refused",
    );
    const dtype = [...global("numpy dtype"), ...nested, 0x85, REDUCE];
    expect(outcome(() => parseTorch(checkpoint(dtype)))).toBe("refused");
  });

  it("copies one long text only as often as its size allows", () => {
    const encode = [...global("_codecs encode"), 0x71, 0, 0x30];
    const body = [...encode, 0x58, 0, 0, 16, 0, ...new Array<number>(2 ** 20).fill(97), 0x71, 1, 0x30];
    const again = [0x68, 0, 0x68, 1, ...string("latin1"), 0x86, REDUCE, 0x30];
    const pickle = [...body];
    for (let i = 0; i < 1000; i++) pickle.push(...again);
    expect(() => parseTorch(checkpoint([...pickle, 0x4e]))).toThrow(/hundred times/);
  });

  it("reads a list that holds itself, and a class kept as a value as its name", () => {
    const itself = parseTorch(checkpoint([0x5d, 0x71, 0, 0x68, 0, 0x61])) as TorchValue[];
    expect(itself[0]).toBe(itself);
    expect(parseTorch(checkpoint([0x5d, ...global("torch FloatStorage"), 0x61]))).toEqual([
      "torch.FloatStorage",
    ]);
  });

  it("gives a tensor a shape that later opcodes cannot change", () => {
    const shape = [0x5d, ...long(3), 0x61, 0x71, 7];
    const plain = tensor(0, [3], [1]);
    const marker = tuple(long(3));
    const at = plain.findIndex((_, i) => marker.every((byte, j) => plain[i + j] === byte));
    const pickle = [
      ...plain.slice(0, at),
      ...shape,
      ...plain.slice(at + marker.length),
      0x68,
      7,
      ...long(9),
      0x61,
      0x30,
    ];
    const value = parseTorch(checkpoint(pickle));
    expect(isRawTensor(value) && value.shape).toEqual([3]);
  });
});
