/**
 * A pickle machine that runs no code: it builds numbers, strings, bytes, arrays (list, tuple), Maps (dict) and Sets, and
 * hands every global, persistent id and object state to the caller, who knows the few that are harmless.
 * Reads the binary opcodes of protocols 2 to 5. Source: CPython Lib/pickletools.py (the opcodes' description).
 */
import { FormatError } from "../errors.js";

/** Something named `module.name` in Python; `call` is missing when it may be mentioned but not called. */
export class PickleGlobal {
  constructor(
    readonly name: string,
    readonly call?: (args: readonly unknown[]) => unknown,
  ) {}
}

export interface PickleHooks {
  /** The value of a global. Throws a FormatError for one that is not allowed. */
  global(module: string, name: string): unknown;
  persistent(id: unknown): unknown;
  /** Gives `object` its pickled state, in place. */
  build(object: unknown, state: unknown): void;
}

/** Longer integers have no place in a checkpoint, and converting them takes more than linear time. */
const MAX_INTEGER_BYTES = 1024;

/** An empty dict is one byte in a pickle and two hundred in memory. Checkpoints have some thousand containers. */
const MAX_CONTAINERS = 2_000_000;
const CONTAINER_OPCODES = new Set([0x28, 0x5d, 0x29, 0x7d, 0x8f, 0x85, 0x86, 0x87]);

/**
 * Runs the pickle and returns its one value. Time and memory are linear in `bytes`, apart from what the hooks do.
 * @param remedy ends every message about a damaged pickle
 * @throws FormatError, beginning with `what`, when it is damaged or uses an opcode of another kind.
 */
export function unpickle(
  bytes: Uint8Array,
  hooks: PickleHooks,
  what: string,
  remedy = "save the file again with torch.save",
): unknown {
  return new Machine(bytes, hooks, what, remedy).run();
}

class Machine {
  private readonly view: DataView;
  private readonly memo = new Map<number, unknown>();
  private readonly outer: unknown[][] = [];
  private stack: unknown[] = [];
  private at = 0;
  private containers = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly hooks: PickleHooks,
    private readonly what: string,
    private readonly remedy: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): unknown {
    try {
      return this.execute();
    } catch (error) {
      if (error instanceof RangeError) throw this.bad(`more than fits in memory (${error.message})`);
      throw error;
    }
  }

  private execute(): unknown {
    for (;;) {
      const opcode = this.view.getUint8(this.skip(1));
      if (opcode === 0x2e /* STOP */) return this.pop();
      if (!this.scalar(opcode) && !this.container(opcode) && !this.reference(opcode))
        throw this.unknown(opcode);
    }
  }

  /** Opcodes that push one number, string or constant. Each of the three returns whether the opcode was its own. */
  private scalar(opcode: number): boolean {
    const { view } = this;
    switch (opcode) {
      case 0x4e: // NONE
        this.push(null);
        return true;
      case 0x88: // NEWTRUE
        this.push(true);
        return true;
      case 0x89: // NEWFALSE
        this.push(false);
        return true;
      case 0x4a: // BININT
        this.push(view.getInt32(this.skip(4), true));
        return true;
      case 0x4b: // BININT1
        this.push(this.uint8());
        return true;
      case 0x4d: // BININT2
        this.push(view.getUint16(this.skip(2), true));
        return true;
      case 0x8a: // LONG1
        this.push(this.integer(this.uint8()));
        return true;
      case 0x8b: // LONG4
        this.push(this.integer(this.uint32()));
        return true;
      case 0x47: // BINFLOAT
        this.push(view.getFloat64(this.skip(8), false));
        return true;
      case 0x58: // BINUNICODE
        this.push(this.text(this.uint32()));
        return true;
      case 0x8c: // SHORT_BINUNICODE
        this.push(this.text(this.uint8()));
        return true;
      case 0x8d: // BINUNICODE8
        this.push(this.text(this.uint64()));
        return true;
      case 0x54: // BINSTRING, a Python 2 str
        this.push(latin1(this.raw(this.uint32())));
        return true;
      case 0x55: // SHORT_BINSTRING
        this.push(latin1(this.raw(this.uint8())));
        return true;
      case 0x42: // BINBYTES
        this.push(this.raw(this.uint32()));
        return true;
      case 0x43: // SHORT_BINBYTES
        this.push(this.raw(this.uint8()));
        return true;
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        this.push(this.raw(this.uint64()));
        return true;
      default:
        return false;
    }
  }

  /** Opcodes that make or fill a list, tuple, dict or set. */
  private container(opcode: number): boolean {
    if (CONTAINER_OPCODES.has(opcode) && ++this.containers > MAX_CONTAINERS)
      throw this.bad(`more than ${MAX_CONTAINERS} containers`);
    switch (opcode) {
      case 0x28: // MARK
        this.outer.push(this.stack);
        this.stack = [];
        return true;
      case 0x5d: // EMPTY_LIST
      case 0x29: // EMPTY_TUPLE
        this.push([]);
        return true;
      case 0x7d: // EMPTY_DICT
        this.push(new Map());
        return true;
      case 0x8f: // EMPTY_SET
        this.push(new Set());
        return true;
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        this.push(this.popMany(opcode - 0x84));
        return true;
      case 0x74: // TUPLE
      case 0x6c: // LIST
        this.push(this.popMark());
        return true;
      case 0x64: // DICT
        this.push(this.fillMap(new Map(), this.popMark()));
        return true;
      case 0x91: // FROZENSET
        this.push(new Set(this.popMark()));
        return true;
      case 0x61: // APPEND
        this.fillList([this.pop()]);
        return true;
      case 0x65: // APPENDS
        this.fillList(this.popMark());
        return true;
      case 0x73: // SETITEM
        this.fillTop(this.popMany(2));
        return true;
      case 0x75: // SETITEMS
        this.fillTop(this.popMark());
        return true;
      case 0x90: // ADDITEMS
        this.fillSet(this.popMark());
        return true;
      case 0x30: // POP
        this.pop();
        return true;
      case 0x31: // POP_MARK
        this.popMark();
        return true;
      case 0x32: // DUP
        this.push(this.top());
        return true;
      default:
        return false;
    }
  }

  /** Opcodes for the memo, globals, calls and framing. */
  private reference(opcode: number): boolean {
    switch (opcode) {
      case 0x80: // PROTO
        if (this.uint8() > 5) throw this.bad("a pickle protocol above 5");
        return true;
      case 0x95: // FRAME
        if (this.uint64() > this.bytes.length - this.at) throw this.bad("a frame that ends outside the data");
        return true;
      case 0x71: // BINPUT
        this.memo.set(this.uint8(), this.top());
        return true;
      case 0x72: // LONG_BINPUT
        this.memo.set(this.uint32(), this.top());
        return true;
      case 0x94: // MEMOIZE
        this.memo.set(this.memo.size, this.top());
        return true;
      case 0x68: // BINGET
        this.push(this.recall(this.uint8()));
        return true;
      case 0x6a: // LONG_BINGET
        this.push(this.recall(this.uint32()));
        return true;
      case 0x63: // GLOBAL
        this.push(this.hooks.global(this.line(), this.line()));
        return true;
      case 0x93: {
        // STACK_GLOBAL
        const [module, name] = this.popMany(2);
        if (typeof module !== "string" || typeof name !== "string") throw this.bad("a global without a name");
        this.push(this.hooks.global(module, name));
        return true;
      }
      case 0x51: // BINPERSID
        this.push(this.hooks.persistent(this.pop()));
        return true;
      case 0x52: // REDUCE
      case 0x81: // NEWOBJ
        this.call();
        return true;
      case 0x62: {
        // BUILD
        const state = this.pop();
        this.hooks.build(this.top(), state);
        return true;
      }
      default:
        return false;
    }
  }

  private call(): void {
    const [callee, args] = this.popMany(2);
    if (!(callee instanceof PickleGlobal) || !Array.isArray(args))
      throw this.bad("a call of something that is no function");
    if (callee.call === undefined)
      throw new FormatError(
        `${this.what}: calls ${callee.name}, which is not allowed; save only tensors, numbers, strings and containers of them`,
      );
    this.push(callee.call(args));
  }

  private fillList(items: unknown[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw this.bad("items for something that is no list");
    for (const item of items) list.push(item);
  }

  private fillTop(items: unknown[]): void {
    const map = this.top();
    if (!(map instanceof Map)) throw this.bad("entries for something that is no dict");
    this.fillMap(map, items);
  }

  private fillMap(map: Map<unknown, unknown>, items: unknown[]): Map<unknown, unknown> {
    if (items.length % 2 !== 0) throw this.bad("a key without a value");
    for (let i = 0; i < items.length; i += 2) map.set(items[i], items[i + 1]);
    return map;
  }

  private fillSet(items: unknown[]): void {
    const set = this.top();
    if (!(set instanceof Set)) throw this.bad("items for something that is no set");
    for (const item of items) set.add(item);
  }

  private recall(index: number): unknown {
    if (!this.memo.has(index)) throw this.bad(`a reference to object ${index}, which does not exist`);
    return this.memo.get(index);
  }

  /** Takes its value first: computing it may have closed a mark and with it changed the stack. */
  private push(value: unknown): void {
    this.stack.push(value);
  }

  private top(): unknown {
    if (this.stack.length === 0) throw this.bad("an opcode that lacks its operand");
    return this.stack[this.stack.length - 1];
  }

  private pop(): unknown {
    const value = this.top();
    this.stack.pop();
    return value;
  }

  private popMany(count: number): unknown[] {
    if (this.stack.length < count) throw this.bad("an opcode that lacks its operands");
    return this.stack.splice(this.stack.length - count, count);
  }

  private popMark(): unknown[] {
    const items = this.stack;
    const outer = this.outer.pop();
    if (outer === undefined) throw this.bad("an end without a beginning");
    this.stack = outer;
    return items;
  }

  /** Moves past `count` bytes and returns where they begin. */
  private skip(count: number): number {
    const start = this.at;
    if (count > this.bytes.length - start) throw this.bad("no end; the file was cut short");
    this.at += count;
    return start;
  }

  private raw(count: number): Uint8Array {
    const start = this.skip(count);
    return this.bytes.subarray(start, start + count);
  }

  private uint8(): number {
    return this.view.getUint8(this.skip(1));
  }

  private uint32(): number {
    return this.view.getUint32(this.skip(4), true);
  }

  private uint64(): number {
    return Number(this.view.getBigUint64(this.skip(8), true));
  }

  private text(count: number): string {
    const raw = this.raw(count);
    try {
      return UTF8.decode(raw);
    } catch {
      throw this.bad("a string that is not UTF-8");
    }
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) throw this.bad("a global without an end");
    const text = this.text(end - this.at);
    this.at = end + 1;
    return text;
  }

  /** A little-endian two's complement integer: a number where that is exact, else a bigint. */
  private integer(count: number): number | bigint {
    if (count > MAX_INTEGER_BYTES) throw this.bad(`an integer of ${count} bytes`);
    let value = 0n;
    const raw = this.raw(count);
    for (let i = count - 1; i >= 0; i--) value = (value << 8n) | BigInt(raw[i]!);
    value = BigInt.asIntN(8 * count, value);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  private unknown(opcode: number): FormatError {
    const shown = `0x${opcode.toString(16).padStart(2, "0")}`;
    return this.bad(`the opcode ${shown} at byte ${this.at - 1}, which is not read`);
  }

  private bad(found: string): FormatError {
    return new FormatError(`${this.what}: its pickle has ${found}; ${this.remedy}`);
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text of one character for each byte. */
function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
