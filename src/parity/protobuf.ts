import { UnreadableModelError } from './errors.ts';

/**
 * Protobuf's wire format (protobuf.dev/programming-guides/encoding), read strictly and without a schema: whoever reads a format knows the
 * numbers of its fields. `readMessage(bytes)` looks through one message and copies nothing; the methods of `Message` take a field's number.
 * A field that is absent has its type's default, as in proto3. What is wrong is an `UnreadableModelError` that names the place in `bytes`.
 *
 *     const model = readMessage(bytes);
 *     const version = model.int(1);                                        // int32, int64, enums
 *     for (const node of model.message(7)?.messages(1) ?? []) node.string(4); // strings, nested messages, repeated ones
 *     tensor.floats(4);                                                    // repeated numbers, packed or not
 */
export interface Message {
  /** Numbers of the fields that are there, ascending. */
  readonly fields: readonly number[];
  has(field: number): boolean;
  /** Refuses a message that has other fields than these; `what` names it in the error. */
  allow(what: string, ...fields: readonly number[]): void;

  /** int32, int64, uint32, uint64, enums: a whole number within ±2^53. */
  int(field: number): number;
  bool(field: number): boolean;
  float(field: number): number;
  double(field: number): number;
  string(field: number): string;
  /** A view, not a copy. */
  bytes(field: number): Uint8Array;
  message(field: number): Message | null;

  ints(field: number): number[];
  floats(field: number): Float32Array;
  doubles(field: number): Float64Array;
  strings(field: number): string[];
  /** Views, not copies. */
  byteStrings(field: number): Uint8Array[];
  messages(field: number): Message[];
  /** Of `map<string, Message>`: entries are messages with key 1 and value 2. */
  map(field: number): Map<string, Message>;
}

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;
const wireNames: Readonly<Record<number, string>> = { 0: 'varint', 1: '64-bit', 2: 'length-delimited', 5: '32-bit' };

/** Where the value of a field lies: of a varint from its first byte to the one after its last, of a string without its length. */
interface Place {
  readonly wire: number;
  readonly start: number;
  readonly end: number;
}

/** `bytes` from `start` to `end`, which are where errors count from. */
export function readMessage(bytes: Uint8Array, start = 0, end = bytes.length): Message {
  return new WireMessage(bytes, start, end);
}

const fail = (offset: number, what: string) =>
  new UnreadableModelError(`The exported model’s protobuf data is broken at byte ${offset}: ${what}.`);

class WireMessage implements Message {
  private readonly bytesOfFile: Uint8Array;
  private readonly view: DataView;
  private readonly start: number;
  private readonly places = new Map<number, Place[]>();

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytesOfFile = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.start = start;
    let at = start;
    while (at < end) {
      const [tag, afterTag] = this.varint(at, end);
      const field = Math.floor(tag / 8);
      const wire = tag % 8;
      if (field === 0 || field >= 2 ** 29) throw fail(at, `there is no field ${field}`);
      const place = this.valueAt(wire, afterTag, end);
      at = place.end;
      const others = this.places.get(field);
      if (others === undefined) this.places.set(field, [place]);
      else others.push(place);
    }
  }

  get fields(): readonly number[] {
    return [...this.places.keys()].sort((a, b) => a - b);
  }

  has(field: number): boolean {
    return this.places.has(field);
  }

  allow(what: string, ...fields: readonly number[]): void {
    const unknown = this.fields.find((field) => !fields.includes(field));
    if (unknown !== undefined) throw fail(this.start, `${what} has field ${unknown}, which is not known here`);
  }

  int(field: number): number {
    const place = this.single(field, VARINT);
    return place === null ? 0 : this.signed(place.start, place.end)[0];
  }

  bool(field: number): boolean {
    return this.int(field) !== 0;
  }

  float(field: number): number {
    const place = this.single(field, FIXED32);
    return place === null ? 0 : this.view.getFloat32(place.start, true);
  }

  double(field: number): number {
    const place = this.single(field, FIXED64);
    return place === null ? 0 : this.view.getFloat64(place.start, true);
  }

  string(field: number): string {
    const place = this.single(field, DELIMITED);
    return place === null ? '' : this.text(place);
  }

  bytes(field: number): Uint8Array {
    const place = this.single(field, DELIMITED);
    return place === null ? new Uint8Array() : this.bytesOfFile.subarray(place.start, place.end);
  }

  message(field: number): Message | null {
    const place = this.single(field, DELIMITED);
    return place === null ? null : readMessage(this.bytesOfFile, place.start, place.end);
  }

  ints(field: number): number[] {
    const values: number[] = [];
    for (const place of this.places.get(field) ?? []) {
      if (place.wire !== DELIMITED) this.expect(field, place, VARINT);
      for (let at = place.start; at < place.end;) {
        const [value, next] = this.signed(at, place.end);
        values.push(value);
        at = next;
      }
    }
    return values;
  }

  floats(field: number): Float32Array {
    return new Float32Array(this.fixed(field, FIXED32, 4));
  }

  doubles(field: number): Float64Array {
    return new Float64Array(this.fixed(field, FIXED64, 8));
  }

  strings(field: number): string[] {
    return this.delimited(field).map((place) => this.text(place));
  }

  byteStrings(field: number): Uint8Array[] {
    return this.delimited(field).map(({ start, end }) => this.bytesOfFile.subarray(start, end));
  }

  messages(field: number): Message[] {
    return this.delimited(field).map(({ start, end }) => readMessage(this.bytesOfFile, start, end));
  }

  map(field: number): Map<string, Message> {
    const entries = new Map<string, Message>();
    for (const { start, end } of this.delimited(field)) {
      const entry = readMessage(this.bytesOfFile, start, end);
      const key = entry.string(1);
      if (entries.has(key)) throw fail(start, `the key “${key}” is there twice`);
      entries.set(key, entry.message(2) ?? readMessage(this.bytesOfFile, end, end));
    }
    return entries;
  }

  private single(field: number, wire: number): Place | null {
    const places = this.places.get(field);
    if (places === undefined) return null;
    // The standard lets the last one win; no writer makes use of it.
    if (places.length > 1) throw fail(places[1]!.start, `field ${field} is there ${places.length} times`);
    this.expect(field, places[0]!, wire);
    return places[0]!;
  }

  private delimited(field: number): readonly Place[] {
    const places = this.places.get(field) ?? [];
    for (const place of places) this.expect(field, place, DELIMITED);
    return places;
  }

  private expect(field: number, place: Place, wire: number): void {
    if (place.wire !== wire)
      throw fail(place.start, `field ${field} is ${wireNames[place.wire]!}, not ${wireNames[wire]!}`);
  }

  /** Little endian as the file has them, whatever mix of packed and single ones; numbers of `size` bytes. */
  private fixed(field: number, wire: number, size: number): ArrayBuffer {
    const places = this.places.get(field) ?? [];
    for (const place of places) {
      if (place.wire !== DELIMITED) this.expect(field, place, wire);
      if ((place.end - place.start) % size !== 0)
        throw fail(
          place.start,
          `field ${field} is packed of ${size}-byte numbers and has ${place.end - place.start} bytes`,
        );
    }
    const all = new Uint8Array(places.reduce((sum, { start, end }) => sum + end - start, 0));
    let at = 0;
    for (const { start, end } of places) {
      all.set(this.bytesOfFile.subarray(start, end), at);
      at += end - start;
    }
    return all.buffer;
  }

  private text({ start, end }: Place): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.bytesOfFile.subarray(start, end));
    } catch {
      throw fail(start, 'a string is not UTF-8');
    }
  }

  private valueAt(wire: number, start: number, limit: number): Place {
    let begin = start;
    let end: number;
    if (wire === VARINT) {
      end = start;
      while (end < limit && this.bytesOfFile[end]! >= 0x80) end++;
      end++;
      if (end - start > 10) throw fail(start, 'a varint has more than ten bytes');
    } else if (wire === FIXED64) end = start + 8;
    else if (wire === FIXED32) end = start + 4;
    else if (wire === DELIMITED) {
      const [length, after] = this.varint(start, limit);
      begin = after;
      end = after + length;
    } else throw fail(start, `wire type ${wire} is not known`);
    if (end > limit) throw fail(start, `a ${wireNames[wire]!} value goes beyond the end of its message`);
    return { wire, start: begin, end };
  }

  /** Of tags and lengths: unsigned. */
  private varint(start: number, limit: number): readonly [value: number, next: number] {
    let value = 0;
    for (let at = start, scale = 1; at < limit && at < start + 8; at++, scale *= 128) {
      const byte = this.bytesOfFile[at]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return [value, at + 1];
      }
    }
    throw fail(start, 'a number is too long, or goes beyond the end of its message');
  }

  /** Of values: 64 bits in two's complement. */
  private signed(start: number, limit: number): readonly [value: number, next: number] {
    let value = 0n;
    for (let at = start, shift = 0n; at < limit && at < start + 10; at++, shift += 7n) {
      const byte = this.bytesOfFile[at]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        const number = Number(BigInt.asIntN(64, value));
        if (!Number.isSafeInteger(number)) throw fail(start, `${BigInt.asIntN(64, value)} is too large a number`);
        return [number, at + 1];
      }
    }
    throw fail(start, 'a varint goes beyond the end of its message');
  }
}
