import { AppError, type ErrorCode } from '../errors.js';
import type { CheckpointLimits } from './checkpoint-limits.js';
import {
  callPickleGlobal,
  findPickleGlobal,
  integer,
  isKind,
  type PickleRefusal,
  pickleKey,
  resolvePersistentId,
  shown,
} from './pickle-globals.js';
import type { PickleSource } from './pickle-source.js';
import type { PickleKey, PickleStorage, PickleValue } from './pickle-values.js';

const MARK = Symbol('mark');
type StackItem = PickleValue | typeof MARK;

/** A line of text in protocol 0 (names, decimal numbers); strings have their own limit. */
const MAX_LINE_BYTES = 4096;
/** Decimal and binary integers: torch's largest is the 10-byte magic number; Python itself stops at 4300 digits. */
const MAX_INTEGER_BYTES = 256;
const HIGHEST_PROTOCOL = 5;

/**
 * Runs one pickle (protocols 0 to 5) as data only: globals come from an allow-list, calls only arrange their
 * arguments, and every count and size is bounded by `limits` before anything is allocated. Leaves `source` behind the
 * pickle's end; tells `onStorage` every storage that the pickle mentions. Throws `CHECKPOINT_UNSAFE` for whatever would run code, `CHECKPOINT_CORRUPT`, `CHECKPOINT_LIMIT` or
 * `CHECKPOINT_UNSUPPORTED`.
 */
export function runPickle(
  source: PickleSource,
  limits: CheckpointLimits,
  path: string,
  onStorage: (storage: PickleStorage) => void = () => {},
): PickleValue {
  return new PickleMachine(source, limits, path, onStorage).run();
}

class PickleMachine {
  readonly #source: PickleSource;
  readonly #limits: CheckpointLimits;
  readonly #refuse: PickleRefusal;
  readonly #path: string;
  readonly #onStorage: (storage: PickleStorage) => void;
  readonly #stack: StackItem[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #marks = 0;
  #objects = 0;

  constructor(
    source: PickleSource,
    limits: CheckpointLimits,
    path: string,
    onStorage: (storage: PickleStorage) => void,
  ) {
    this.#onStorage = onStorage;
    this.#source = source;
    this.#limits = limits;
    this.#path = path;
    this.#refuse = {
      unsafe: (what) =>
        this.#fail(
          'CHECKPOINT_UNSAFE',
          `${what}; its pickle was not run. Convert the model to safetensors if you trust it`,
        ),
      corrupt: (what) =>
        this.#fail('CHECKPOINT_CORRUPT', `${what}; the file is damaged or was not written by torch.save`),
      unsupported: (what) => this.#fail('CHECKPOINT_UNSUPPORTED', what),
    };
  }

  run(): PickleValue {
    for (let operations = 0; operations < this.#limits.operations; operations++) {
      const opcode = this.#source.uint8();
      if (opcode === 0x2e) {
        const result = this.#pop();
        if (this.#stack.length > 0) return this.#refuse.corrupt('its pickle ends with a stack that is not empty');
        return result;
      }
      this.#step(opcode);
      if (this.#stack.length > this.#limits.stackEntries) {
        return this.#limit('values on its stack', this.#limits.stackEntries);
      }
    }
    return this.#limit('instructions', this.#limits.operations);
  }

  #step(opcode: number): void {
    const source = this.#source;
    switch (opcode) {
      // Framing. A frame only promises that its bytes come; ours are read by position anyway.
      case 0x80: // PROTO
        this.#protocol(source.uint8());
        return;
      case 0x95: // FRAME
        if (source.uint64() > source.remainingBytes) this.#refuse.corrupt('a frame reaches beyond the pickle');
        return;

      // Stack
      case 0x28: // MARK
        this.#marks++;
        if (this.#marks > this.#limits.stackEntries) this.#limit('marks', this.#limits.stackEntries);
        this.#stack.push(MARK);
        return;
      case 0x30: // POP
        if (this.#stack.at(-1) === MARK) this.#marks--;
        if (this.#stack.length === 0) this.#refuse.corrupt('its pickle takes from an empty stack');
        this.#stack.pop();
        return;
      case 0x31: // POP_MARK
        this.#popToMark();
        return;
      case 0x32: // DUP
        this.#stack.push(this.#top());
        return;

      // Numbers and constants
      case 0x4e: // NONE
        this.#stack.push(null);
        return;
      case 0x88: // NEWTRUE
        this.#stack.push(true);
        return;
      case 0x89: // NEWFALSE
        this.#stack.push(false);
        return;
      case 0x49: // INT
        this.#stack.push(this.#textInteger(true));
        return;
      case 0x4c: // LONG
        this.#stack.push(this.#textInteger(false));
        return;
      case 0x4a: // BININT
        this.#stack.push(source.int32());
        return;
      case 0x4b: // BININT1
        this.#stack.push(source.uint8());
        return;
      case 0x4d: // BININT2
        this.#stack.push(source.uint16());
        return;
      case 0x8a: // LONG1
        this.#stack.push(littleEndianInteger(source.bytes(source.uint8(), MAX_INTEGER_BYTES)));
        return;
      case 0x8b: // LONG4
        this.#stack.push(littleEndianInteger(source.bytes(source.uint32(), MAX_INTEGER_BYTES)));
        return;
      case 0x46: // FLOAT
        this.#stack.push(this.#textFloat());
        return;
      case 0x47: // BINFLOAT
        this.#stack.push(source.float64BigEndian());
        return;

      // Text and bytes
      case 0x53: // STRING
        this.#stack.push(this.#quotedString());
        return;
      case 0x54: // BINSTRING
        this.#stack.push(this.#text(source.uint32()));
        return;
      case 0x55: // SHORT_BINSTRING
        this.#stack.push(this.#text(source.uint8()));
        return;
      case 0x56: // UNICODE
        this.#stack.push(this.#rawUnicode());
        return;
      case 0x58: // BINUNICODE
        this.#stack.push(this.#text(source.uint32()));
        return;
      case 0x8c: // SHORT_BINUNICODE
        this.#stack.push(this.#text(source.uint8()));
        return;
      case 0x8d: // BINUNICODE8
        this.#stack.push(this.#text(source.uint64()));
        return;
      case 0x42: // BINBYTES
        this.#pushBytes(source.uint32());
        return;
      case 0x43: // SHORT_BINBYTES
        this.#pushBytes(source.uint8());
        return;
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        this.#pushBytes(source.uint64());
        return;

      // Containers
      case 0x5d: // EMPTY_LIST
        this.#push({ kind: 'list', items: [] });
        return;
      case 0x6c: // LIST
        this.#push({ kind: 'list', items: this.#popToMark() });
        return;
      case 0x61: // APPEND
        this.#append([this.#pop()]);
        return;
      case 0x65: // APPENDS
        this.#append(this.#popToMark());
        return;
      case 0x29: // EMPTY_TUPLE
        this.#push({ kind: 'tuple', items: [] });
        return;
      case 0x74: // TUPLE
        this.#push({ kind: 'tuple', items: this.#popToMark() });
        return;
      case 0x85: // TUPLE1
        this.#push({ kind: 'tuple', items: this.#popCount(1) });
        return;
      case 0x86: // TUPLE2
        this.#push({ kind: 'tuple', items: this.#popCount(2) });
        return;
      case 0x87: // TUPLE3
        this.#push({ kind: 'tuple', items: this.#popCount(3) });
        return;
      case 0x7d: // EMPTY_DICT
        this.#push({ kind: 'dict', items: new Map() });
        return;
      case 0x64: // DICT
        this.#push({ kind: 'dict', items: this.#pairs(this.#popToMark(), new Map()) });
        return;
      case 0x73: // SETITEM
        this.#setItems(this.#popCount(2));
        return;
      case 0x75: // SETITEMS
        this.#setItems(this.#popToMark());
        return;
      case 0x8f: // EMPTY_SET
        this.#push({ kind: 'set', items: [] });
        return;
      case 0x90: // ADDITEMS
        this.#addItems(this.#popToMark());
        return;
      case 0x91: // FROZENSET
        this.#push({ kind: 'set', items: this.#popToMark().map((item) => pickleKey(item, this.#refuse)) });
        return;

      // Memo
      case 0x70: // PUT
        this.#remember(this.#memoIndex());
        return;
      case 0x71: // BINPUT
        this.#remember(source.uint8());
        return;
      case 0x72: // LONG_BINPUT
        this.#remember(source.uint32());
        return;
      case 0x94: // MEMOIZE
        this.#remember(this.#memo.size);
        return;
      case 0x67: // GET
        this.#recall(this.#memoIndex());
        return;
      case 0x68: // BINGET
        this.#recall(source.uint8());
        return;
      case 0x6a: // LONG_BINGET
        this.#recall(source.uint32());
        return;

      // Globals and objects: names of the allow-list, and data built from them
      case 0x63: // GLOBAL
        this.#pushGlobal(this.#nameLine(), this.#nameLine());
        return;
      case 0x93: // STACK_GLOBAL
        this.#stackGlobal();
        return;
      case 0x52: // REDUCE
        this.#reduce();
        return;
      case 0x69: {
        // INST: arguments since the mark, the class in the stream
        const target = this.#global(this.#nameLine(), this.#nameLine());
        this.#push(this.#call(target, this.#popToMark()));
        return;
      }
      case 0x6f: {
        // OBJ: the class behind the mark, then its arguments
        const [target, ...args] = this.#popToMark();
        this.#push(this.#call(target, args));
        return;
      }
      case 0x81: {
        // NEWOBJ
        const [target, args] = this.#popCount(2);
        this.#instantiate(target, args);
        return;
      }
      case 0x92: {
        // NEWOBJ_EX
        const [target, args, keywords] = this.#popCount(3);
        if (!isKind(keywords, 'dict') || keywords.items.size > 0) {
          this.#refuse.unsafe('it builds an object with keyword arguments');
        }
        this.#instantiate(target, args);
        return;
      }
      case 0x62: // BUILD
        this.#build();
        return;
      case 0x50: {
        // PERSID: torch's ids are tuples, so a line of text is never one of them
        this.#source.line(MAX_LINE_BYTES);
        this.#refuse.unsafe('it refers to an external object by a line of text');
        return;
      }
      case 0x51: {
        // BINPERSID
        const storage = resolvePersistentId(this.#pop(), this.#refuse);
        this.#onStorage(storage);
        this.#push(storage);
        return;
      }
      case 0x82: // EXT1
      case 0x83: // EXT2
      case 0x84: // EXT4
        this.#refuse.unsafe("it refers to Python's registry of extension classes");
        return;
      case 0x97: // NEXT_BUFFER
      case 0x98: // READONLY_BUFFER
        this.#refuse.unsupported('its pickle keeps data in buffers outside the file');
        return;
      default:
        this.#refuse.corrupt(`its pickle holds the unknown instruction 0x${opcode.toString(16).padStart(2, '0')}`);
    }
  }

  #protocol(version: number): void {
    if (version > HIGHEST_PROTOCOL) {
      this.#refuse.unsupported(`its pickle has protocol ${version}; expected at most ${HIGHEST_PROTOCOL}`);
    }
  }

  // Stack

  #push(value: PickleValue): void {
    if (typeof value === 'object' && value !== null && ++this.#objects > this.#limits.objects) {
      this.#limit('objects', this.#limits.objects);
    }
    this.#stack.push(value);
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined || value === MARK) return this.#refuse.corrupt('its pickle takes from an empty stack');
    return value;
  }

  #pop(): PickleValue {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popCount(count: number): PickleValue[] {
    const items: PickleValue[] = [];
    for (let i = 0; i < count; i++) items.push(this.#pop());
    return items.reverse();
  }

  #popToMark(): PickleValue[] {
    const at = this.#marks === 0 ? -1 : this.#stack.lastIndexOf(MARK);
    if (at < 0) return this.#refuse.corrupt('its pickle looks for a mark that is not there');
    this.#marks--;
    const items = this.#stack.splice(at);
    items.shift();
    return items as PickleValue[]; // above the last mark there is no other
  }

  // Containers

  #append(items: readonly PickleValue[]): void {
    const list = this.#top();
    if (!isKind(list, 'list')) this.#refuse.corrupt('its pickle appends to something that is not a list');
    for (const item of items) list.items.push(item);
  }

  #addItems(items: readonly PickleValue[]): void {
    const set = this.#top();
    if (!isKind(set, 'set')) this.#refuse.corrupt('its pickle adds to something that is not a set');
    for (const item of items) set.items.push(pickleKey(item, this.#refuse));
  }

  #setItems(items: readonly PickleValue[]): void {
    const dict = this.#top();
    if (!isKind(dict, 'dict')) {
      this.#refuse.unsafe('it sets items of something that is not a dictionary');
    }
    this.#pairs(items, dict.items);
  }

  #pairs(items: readonly PickleValue[], into: Map<PickleKey, PickleValue>): Map<PickleKey, PickleValue> {
    if (items.length % 2 !== 0) this.#refuse.corrupt('a dictionary has a key without a value');
    for (let i = 0; i < items.length; i += 2) {
      into.set(pickleKey(items[i], this.#refuse), items[i + 1] ?? null);
    }
    return into;
  }

  // Memo

  #memoIndex(): number {
    const text = this.#source.line(MAX_LINE_BYTES).toString('latin1');
    if (!/^\d{1,10}$/.test(text)) this.#refuse.corrupt('a memo index is not a number');
    return Number(text);
  }

  #remember(index: number): void {
    this.#memo.set(index, this.#top());
    if (this.#memo.size > this.#limits.memoEntries) this.#limit('memo entries', this.#limits.memoEntries);
  }

  #recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) this.#refuse.corrupt(`its pickle refers to memo entry ${index}, which is not set`);
    this.#stack.push(value);
  }

  // Globals and objects

  #nameLine(): string {
    return this.#decode(this.#source.line(MAX_LINE_BYTES));
  }

  #pushGlobal(module: string, name: string): void {
    this.#push(this.#global(module, name));
  }

  #stackGlobal(): void {
    const [module, name] = this.#popCount(2);
    if (typeof module !== 'string' || typeof name !== 'string') {
      this.#refuse.corrupt('the name of a global is not text');
    }
    this.#pushGlobal(module, name);
  }

  #global(module: string, name: string): PickleValue {
    const found = findPickleGlobal(module, name);
    const full = shown(`${module}.${name}`);
    if (found === 'unsupported') return this.#refuse.unsupported(`it holds a ${full}; expected plain number storages`);
    if (found === null) return this.#refuse.unsafe(`it names ${full}, which is not on the list of data types`);
    return found;
  }

  #reduce(): void {
    const [target, args] = this.#popCount(2);
    if (!isKind(args, 'tuple')) this.#refuse.corrupt('its pickle calls with something that is not a tuple');
    this.#push(this.#call(target, args.items));
  }

  #call(target: PickleValue | undefined, args: readonly PickleValue[]): PickleValue {
    if (!isKind(target, 'global')) return this.#refuse.unsafe(`it calls ${shown(target)}, which is not a function`);
    return callPickleGlobal(target, args, this.#refuse);
  }

  #instantiate(target: PickleValue | undefined, args: PickleValue | undefined): void {
    if (!isKind(args, 'tuple')) this.#refuse.corrupt('its pickle calls with something that is not a tuple');
    this.#push(this.#call(target, args.items));
  }

  /**
   * BUILD sets the state of the object on top: fields of a record, the byte order of a numpy type. The state of an
   * OrderedDict (torch keeps `_metadata` there) is dropped. Nothing else has state here.
   */
  #build(): void {
    const state = this.#pop();
    const target = this.#top();
    if (isKind(target, 'dict')) return;
    if (isKind(target, 'record')) {
      // (state, slots) is how classes with __slots__ are written.
      const parts = isKind(state, 'tuple') ? state.items : [state];
      for (const part of parts) {
        if (part === null) continue;
        if (!isKind(part, 'dict')) this.#refuse.corrupt('the fields of a record are not a dictionary');
        for (const [key, value] of part.items) {
          if (typeof key !== 'string') this.#refuse.corrupt('a record has a field whose name is not text');
          if (/^__.*__$/.test(key)) this.#refuse.unsafe(`it sets the special attribute ${shown(key)}`);
          target.fields.set(key, value);
        }
      }
      return;
    }
    if (isKind(target, 'numpy-dtype')) {
      const order = isKind(state, 'tuple') ? state.items[1] : undefined;
      if (order !== '<' && order !== '>' && order !== '|' && order !== '=') {
        this.#refuse.corrupt('a numpy type has no byte order');
      }
      target.littleEndian = order !== '>';
      return;
    }
    this.#refuse.unsafe(`it sets the state of ${shown(target)}`);
  }

  // Numbers and text

  #textInteger(allowBoolean: boolean): PickleValue {
    const text = this.#source.line(MAX_INTEGER_BYTES).toString('latin1').replace(/L$/, '');
    if (allowBoolean && text === '00') return false;
    if (allowBoolean && text === '01') return true;
    if (!/^[+-]?\d+$/.test(text)) return this.#refuse.corrupt('an integer is not written in digits');
    return integer(BigInt(text.replace(/^\+/, '')));
  }

  #textFloat(): number {
    const text = this.#source.line(MAX_INTEGER_BYTES).toString('latin1');
    if (/^[+-]?\d*(\.\d*)?(e[+-]?\d+)?$/i.test(text) && /\d/.test(text)) return Number(text);
    if (text === 'nan') return Number.NaN;
    if (text === 'inf') return Number.POSITIVE_INFINITY;
    if (text === '-inf') return Number.NEGATIVE_INFINITY;
    return this.#refuse.corrupt('a float is not written in digits');
  }

  #text(length: number): string {
    return this.#decode(this.#source.bytes(length, this.#limits.stringSizeBytes));
  }

  #decode(bytes: Buffer): string {
    let ascii = true;
    for (let i = 0; i < bytes.length && ascii; i++) ascii = bytes[i]! < 0x80; // i < length
    if (ascii) return bytes.toString('latin1');
    try {
      return UTF8.decode(bytes);
    } catch {
      return this.#refuse.corrupt('a string is not UTF-8');
    }
  }

  #pushBytes(length: number): void {
    const bytes = this.#source.bytes(length, this.#limits.stringSizeBytes);
    this.#push({ kind: 'bytes', bytes: Uint8Array.from(bytes) });
  }

  /** Protocol 0's `repr` of a byte string, in quotes. */
  #quotedString(): string {
    const text = this.#decode(this.#source.line(this.#limits.stringSizeBytes));
    const match = /^(['"])([\s\S]*)\1$/.exec(text);
    if (match === null || text.length < 2) return this.#refuse.corrupt('a string is not in quotes');
    return this.#unescape(match[2] ?? '', /\\(x[0-9a-fA-F]{2}|[\\'"nrtabfv0])/g);
  }

  /** Protocol 0's "raw-unicode-escape": latin1 in which only \\uXXXX and \\UXXXXXXXX are escapes. */
  #rawUnicode(): string {
    const text = this.#source.line(this.#limits.stringSizeBytes).toString('latin1');
    return this.#unescape(text, /\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})/g);
  }

  #unescape(text: string, escapes: RegExp): string {
    return text.replace(escapes, (_, sequence: string) => {
      const code = SINGLE_ESCAPES.get(sequence);
      if (code !== undefined) return code;
      const point = Number.parseInt(sequence.slice(1), 16);
      if (point > 0x10ffff) return this.#refuse.corrupt('a string holds an impossible character');
      return String.fromCodePoint(point);
    });
  }

  // Refusals

  #limit(what: string, limit: number): never {
    return this.#fail('CHECKPOINT_LIMIT', `its pickle has more than ${limit} ${what}`);
  }

  #fail(code: ErrorCode, what: string): never {
    throw new AppError(code, `checkpoint "${this.#path}" was refused: ${what}`);
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const SINGLE_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\\', '\\'],
  ["'", "'"],
  ['"', '"'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['v', '\v'],
  ['0', '\0'],
]);

/** Two's complement, least significant byte first; no bytes mean 0. */
function littleEndianInteger(bytes: Uint8Array): number | bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!); // i < length
  const negative = bytes.length > 0 && bytes[bytes.length - 1]! >= 0x80;
  return integer(negative ? value - (1n << BigInt(8 * bytes.length)) : value);
}
