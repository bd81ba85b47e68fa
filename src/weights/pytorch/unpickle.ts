import { PyTorchFileError } from '../errors.ts';

/**
 * An interpreter for the part of Python's pickle that data needs: numbers, texts, lists, dictionaries. Where a pickle asks Python
 * to import something, what comes is an inert `Placeholder`, unless `Makers` has a function of ours for that very name: nothing
 * in a file is ever run. Opcodes: CPython, Lib/pickletools.py; torch writes protocol 2, others up to 5.
 */
export type Pickled =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Pickled[]
  | Map<Pickled, Pickled>
  | Global
  | Placeholder
  | Made;

/** A name that the pickle would have had imported: `torch.FloatStorage`. */
export class Global {
  constructor(readonly name: string) {}
}

/** Stands where Python would have had an object of a class that we don't know. */
export class Placeholder {
  constructor(readonly of: string) {}
}

/** What a maker made: a storage, a tensor. */
export abstract class Made {
  abstract readonly kind: string;
}

export interface Makers {
  /** Functions and classes by their full name; called with what the pickle gives as arguments. */
  readonly call: Readonly<Record<string, (args: readonly Pickled[]) => Pickled>>;
  /** What a persistent id stands for: torch's storages. */
  persistent(id: Pickled): Pickled;
}

/** Ends at the pickle's STOP; `end` is the offset behind it. Throws `PyTorchFileError`. */
export function unpickle(
  bytes: Uint8Array,
  makers: Makers,
  start = 0,
): { readonly value: Pickled; readonly end: number } {
  const read = reader(bytes, start);
  const memo = new Map<number, Pickled>();
  let stack: Pickled[] = [];
  /** The stacks below each mark. */
  const below: Pickled[][] = [];

  const pop = (): Pickled => {
    const value = stack.pop();
    if (value === undefined) throw broken('it takes a value from an empty stack');
    return value;
  };
  const top = (): Pickled => {
    const value = stack.at(-1);
    if (value === undefined) throw broken('it looks at an empty stack');
    return value;
  };
  /** What was pushed since the last mark. */
  const popMark = (): Pickled[] => {
    const items = stack;
    const under = below.pop();
    if (under === undefined) throw broken('it goes back to a mark that was never set');
    stack = under;
    return items;
  };
  const take = (count: number): Pickled[] => Array.from({ length: count }, pop).reverse();
  const remembered = (index: number): Pickled => {
    const value = memo.get(index);
    if (value === undefined) throw broken('it remembers a value that was never kept');
    return value;
  };
  const call = (callee: Pickled, args: Pickled): Pickled => {
    // A placeholder is called too, where a file holds methods or nested classes.
    const name = callee instanceof Global ? callee.name : callee instanceof Placeholder ? callee.of : null;
    if (name === null || !Array.isArray(args)) throw broken('it calls something that is no function');
    return Object.hasOwn(makers.call, name) ? makers.call[name]!(args) : new Placeholder(name);
  };
  const addTo = (list: Pickled, items: readonly Pickled[]): void => {
    if (Array.isArray(list)) for (const item of items) list.push(item);
    else if (!(list instanceof Placeholder)) throw broken('it appends to something that is no list');
  };
  const putInto = (dictionary: Pickled, items: readonly Pickled[]): void => {
    if (dictionary instanceof Placeholder) return;
    if (!(dictionary instanceof Map) || items.length % 2 !== 0)
      throw broken('it fills something that is no dictionary');
    for (let i = 0; i < items.length; i += 2) dictionary.set(items[i] as Pickled, items[i + 1] as Pickled);
  };

  for (;;) {
    const opcode = read.byte();
    switch (opcode) {
      case 0x80: // PROTO
        if (read.byte() > 5) throw broken('it is of a newer protocol than 5');
        break;
      case 0x95: // FRAME: only a hint for reading
        read.length8();
        break;
      case 0x2e: // STOP
        return { value: pop(), end: read.position() };
      case 0x28: // MARK
        below.push(stack);
        stack = [];
        break;
      case 0x30: // POP
        if (stack.length > 0) stack.pop();
        else popMark();
        break;
      case 0x31: // POP_MARK
        popMark();
        break;
      case 0x32: // DUP
        stack.push(top());
        break;

      case 0x4e: // NONE
        stack.push(null);
        break;
      case 0x88: // NEWTRUE
      case 0x89: // NEWFALSE
        stack.push(opcode === 0x88);
        break;
      case 0x4b: // BININT1
        stack.push(read.byte());
        break;
      case 0x4d: // BININT2
        stack.push(read.uint16());
        break;
      case 0x4a: // BININT
        stack.push(read.int32());
        break;
      case 0x8a: // LONG1
        stack.push(longOf(read.bytes(read.byte())));
        break;
      case 0x8b: // LONG4
        stack.push(longOf(read.bytes(read.length4())));
        break;
      case 0x47: // BINFLOAT
        stack.push(read.float64());
        break;
      case 0x8c: // SHORT_BINUNICODE
        stack.push(read.text(read.byte()));
        break;
      case 0x58: // BINUNICODE
        stack.push(read.text(read.length4()));
        break;
      case 0x8d: // BINUNICODE8
        stack.push(read.text(read.length8()));
        break;
      case 0x55: // SHORT_BINSTRING: a text of Python 2
        stack.push(read.text(read.byte()));
        break;
      case 0x54: // BINSTRING
        stack.push(read.text(read.length4()));
        break;
      case 0x43: // SHORT_BINBYTES
        stack.push(read.bytes(read.byte()));
        break;
      case 0x42: // BINBYTES
        stack.push(read.bytes(read.length4()));
        break;
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        stack.push(read.bytes(read.length8()));
        break;

      case 0x29: // EMPTY_TUPLE; tuples and sets are lists here
      case 0x5d: // EMPTY_LIST
      case 0x8f: // EMPTY_SET
        stack.push([]);
        break;
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        stack.push(take(opcode - 0x84));
        break;
      case 0x74: // TUPLE
      case 0x6c: // LIST
      case 0x91: {
        // FROZENSET
        const items = popMark();
        stack.push(items);
        break;
      }
      case 0x61: {
        // APPEND
        const item = pop();
        addTo(top(), [item]);
        break;
      }
      case 0x65: // APPENDS
      case 0x90: {
        // ADDITEMS
        const items = popMark();
        addTo(top(), items);
        break;
      }
      case 0x7d: // EMPTY_DICT
        stack.push(new Map());
        break;
      case 0x64: {
        // DICT
        const dictionary = new Map<Pickled, Pickled>();
        putInto(dictionary, popMark());
        stack.push(dictionary);
        break;
      }
      case 0x73: {
        // SETITEM
        const pair = take(2);
        putInto(top(), pair);
        break;
      }
      case 0x75: {
        // SETITEMS
        const items = popMark();
        putInto(top(), items);
        break;
      }

      case 0x71: // BINPUT
        memo.set(read.byte(), top());
        break;
      case 0x72: // LONG_BINPUT
        memo.set(read.length4(), top());
        break;
      case 0x94: // MEMOIZE
        memo.set(memo.size, top());
        break;
      case 0x68: // BINGET
        stack.push(remembered(read.byte()));
        break;
      case 0x6a: // LONG_BINGET
        stack.push(remembered(read.length4()));
        break;

      case 0x63: // GLOBAL
        stack.push(new Global(`${read.line()}.${read.line()}`));
        break;
      case 0x93: {
        // STACK_GLOBAL
        const [module, name] = take(2);
        if (typeof module !== 'string' || typeof name !== 'string') throw broken('it imports something without a name');
        stack.push(new Global(`${module}.${name}`));
        break;
      }
      case 0x52: // REDUCE
      case 0x81: {
        // NEWOBJ
        const [callee, args] = take(2);
        stack.push(call(callee as Pickled, args as Pickled));
        break;
      }
      case 0x92: {
        // NEWOBJ_EX
        const [callee, args] = take(3);
        stack.push(call(callee as Pickled, args as Pickled));
        break;
      }
      case 0x62: // BUILD: the attributes of an object; nothing that we make has any
        pop();
        top();
        break;
      case 0x51: // BINPERSID
        stack.push(makers.persistent(pop()));
        break;
      default:
        throw broken(`it has an instruction (0x${opcode.toString(16)}) that no weights file needs`);
    }
  }
}

const broken = (why: string) => new PyTorchFileError(`its pickle is damaged or is none: ${why}`);

/** Little-endian numbers and texts, never beyond the end. */
function reader(bytes: Uint8Array, start: number) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const utf8 = new TextDecoder();
  let position = start;
  const advance = (count: number): number => {
    const from = position;
    if (count > bytes.length - position) throw broken('it ends in the middle');
    position += count;
    return from;
  };
  const take = (count: number): Uint8Array => {
    const from = advance(count);
    return bytes.subarray(from, from + count);
  };
  return {
    position: () => position,
    bytes: take,
    byte: () => view.getUint8(advance(1)),
    uint16: () => view.getUint16(advance(2), true),
    int32: () => view.getInt32(advance(4), true),
    length4: () => view.getUint32(advance(4), true),
    length8: () => Number(view.getBigUint64(advance(8), true)),
    /** Pickle's floats are big-endian. */
    float64: () => view.getFloat64(advance(8), false),
    text: (count: number) => utf8.decode(take(count)),
    line: () => {
      const end = bytes.indexOf(0x0a, position);
      if (end < 0) throw broken('it ends in the middle');
      return utf8.decode(take(end - position + 1)).slice(0, -1);
    },
  };
}

/** Two's complement, little-endian; a number where it is exact. torch's longest is its magic number, 10 bytes. */
function longOf(bytes: Uint8Array): number | bigint {
  if (bytes.length > 256) throw broken('it has a number of more than 256 bytes');
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
  if (((bytes.at(-1) ?? 0) & 0x80) !== 0) value -= 1n << BigInt(8 * bytes.length);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
