/**
 * XDR (RFC 4506), limited to the needs of libvirt's protocol: big-endian, everything padded to 4 bytes. A {@link Codec}
 * describes a type once and works in both directions, so that a test server can share it.
 */

/** Longest string that libvirt accepts, in bytes (REMOTE_STRING_MAX in remote_protocol.x). */
export const MAX_STRING_BYTES = 4 * 1024 * 1024;

const INITIAL_CAPACITY_BYTES = 256;
const INT32_MIN = -(2 ** 31);
const INT32_MAX = 2 ** 31 - 1;
const UINT32_MAX = 2 ** 32 - 1;
// Not fatal: an error message may quote the output of a guest or QEMU, and must still reach the reader.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The bytes do not match the type, or a value cannot be written as its type. */
export class XdrError extends Error {
  override readonly name = "XdrError";
}

/** Writes and reads one XDR type. Both throw {@link XdrError}. */
export interface Codec<T> {
  write(writer: XdrWriter, value: T): void;
  read(reader: XdrReader): T;
}

/** Encodes `value` as XDR bytes. */
export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = new XdrWriter();
  codec.write(writer, value);
  return writer.finish();
}

/** Decodes the value in `bytes`. All bytes must be used: remaining bytes mean that the type is wrong. */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const reader = new XdrReader(bytes);
  const value = codec.read(reader);
  if (reader.remaining > 0) throw new XdrError(`${reader.remaining} bytes left over after the value.`);
  return value;
}

/** Signed 32-bit integer. */
export const int32: Codec<number> = {
  write(writer, value) {
    assertInteger(value, INT32_MIN, INT32_MAX);
    writer.reserve(4).setInt32(0, value);
  },
  read: (reader) => reader.take(4).getInt32(0),
};

/** Unsigned 32-bit integer. */
export const uint32: Codec<number> = {
  write(writer, value) {
    assertInteger(value, 0, UINT32_MAX);
    writer.reserve(4).setUint32(0, value);
  },
  read: (reader) => reader.take(4).getUint32(0),
};

/** Signed 64-bit integer (`hyper`). */
export const int64: Codec<bigint> = {
  write(writer, value) {
    if (BigInt.asIntN(64, value) !== value)
      throw new XdrError(`${value} does not fit a signed 64-bit integer.`);
    writer.reserve(8).setBigInt64(0, value);
  },
  read: (reader) => reader.take(8).getBigInt64(0),
};

/** Unsigned 64-bit integer (`unsigned hyper`). */
export const uint64: Codec<bigint> = {
  write(writer, value) {
    if (BigInt.asUintN(64, value) !== value)
      throw new XdrError(`${value} does not fit an unsigned 64-bit integer.`);
    writer.reserve(8).setBigUint64(0, value);
  },
  read: (reader) => reader.take(8).getBigUint64(0),
};

/** A boolean, which libvirt sends as an `int`; any number except 0 reads as true. */
export const boolean: Codec<boolean> = {
  write: (writer, value) => int32.write(writer, value ? 1 : 0),
  read: (reader) => int32.read(reader) !== 0,
};

/** Text of at most {@link MAX_STRING_BYTES} in UTF-8; invalid UTF-8 reads as U+FFFD. */
export const string: Codec<string> = {
  write(writer, value) {
    const bytes = Buffer.from(value, "utf8");
    assertLength(bytes.length, MAX_STRING_BYTES, "string");
    uint32.write(writer, bytes.length);
    writer.bytes(bytes);
  },
  read(reader) {
    const length = uint32.read(reader);
    assertLength(length, MAX_STRING_BYTES, "string");
    return decoder.decode(reader.bytes(length));
  },
};

/** No bytes at all: for calls without arguments or reply. */
export const nothing: Codec<void> = { write: () => undefined, read: () => undefined };

/** A value that may be absent (an XDR pointer): 0, or 1 and the value. */
export function optional<T>(codec: Codec<T>): Codec<T | undefined> {
  return {
    write(writer, value) {
      uint32.write(writer, value === undefined ? 0 : 1);
      if (value !== undefined) codec.write(writer, value);
    },
    read(reader) {
      const present = uint32.read(reader);
      if (present > 1) throw new XdrError(`${present} is neither "absent" (0) nor "present" (1).`);
      return present === 1 ? codec.read(reader) : undefined;
    },
  };
}

/** A list of at most `maxLength` elements. */
export function array<T>(codec: Codec<T>, maxLength: number): Codec<T[]> {
  return {
    write(writer, values) {
      assertLength(values.length, maxLength, "list");
      uint32.write(writer, values.length);
      for (const value of values) codec.write(writer, value);
    },
    read(reader) {
      const length = uint32.read(reader);
      assertLength(length, maxLength, "list");
      const values: T[] = [];
      for (let index = 0; index < length; index += 1) values.push(codec.read(reader));
      return values;
    },
  };
}

/** Exactly `length` bytes. */
export function opaque(length: number): Codec<Uint8Array> {
  return {
    write(writer, value) {
      if (value.length !== length) throw new XdrError(`Expected ${length} bytes, got ${value.length}.`);
      writer.bytes(value);
    },
    read: (reader) => Uint8Array.from(reader.bytes(length)),
  };
}

/** Named fields, one after the other in the order of the keys of `fields`. */
export function struct<T extends object>(fields: { [K in keyof T]: Codec<T[K]> }): Codec<T> {
  const names = Object.keys(fields) as (keyof T)[];
  return {
    write(writer, value) {
      for (const name of names) fields[name].write(writer, value[name]);
    },
    read(reader) {
      const value: Partial<T> = {};
      for (const name of names) value[name] = fields[name].read(reader);
      return value as T;
    },
  };
}

/** Converts `codec` to another type for its callers. */
export function mapped<Wire, T>(
  codec: Codec<Wire>,
  convert: { toWire(value: T): Wire; fromWire(value: Wire): T },
): Codec<T> {
  return {
    write: (writer, value) => codec.write(writer, convert.toWire(value)),
    read: (reader) => convert.fromWire(codec.read(reader)),
  };
}

/** A growing buffer for codecs; callers use {@link encode}. */
export class XdrWriter {
  #buffer = new Uint8Array(INITIAL_CAPACITY_BYTES);
  #length = 0;

  /** Returns a view of the next `byteCount` bytes, for the caller to fill. */
  reserve(byteCount: number): DataView {
    const start = this.#length;
    this.#grow(start + byteCount);
    this.#length = start + byteCount;
    return new DataView(this.#buffer.buffer, start, byteCount);
  }

  /** Appends `value` and zeros up to the next multiple of 4. */
  bytes(value: Uint8Array): void {
    const start = this.#length;
    this.reserve(paddedLength(value.length));
    this.#buffer.set(value, start);
  }

  /** All bytes written so far. */
  finish(): Uint8Array {
    return this.#buffer.slice(0, this.#length);
  }

  #grow(needed: number): void {
    if (needed <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}

/** A cursor over received bytes, which never reads past their end. */
export class XdrReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Number of unread bytes. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  /** Returns a view of the next `byteCount` bytes. */
  take(byteCount: number): DataView {
    const taken = this.#next(byteCount);
    return new DataView(taken.buffer, taken.byteOffset, byteCount);
  }

  /** Returns the next `length` bytes; their padding must be zeros (RFC 4506, section 4.9). */
  bytes(length: number): Uint8Array {
    const padded = this.#next(paddedLength(length));
    if (padded.subarray(length).some((byte) => byte !== 0)) throw new XdrError("The padding is not zero.");
    return padded.subarray(0, length);
  }

  #next(byteCount: number): Uint8Array {
    if (byteCount > this.remaining) {
      throw new XdrError(`The data ends ${byteCount - this.remaining} bytes too early.`);
    }
    const start = this.#offset;
    this.#offset += byteCount;
    return this.#bytes.subarray(start, this.#offset);
  }
}

function paddedLength(length: number): number {
  return Math.ceil(length / 4) * 4;
}

function assertInteger(value: number, minimum: number, maximum: number): void {
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw new XdrError(`${value} is not an integer from ${minimum} to ${maximum}.`);
  }
}

function assertLength(length: number, maximum: number, what: string): void {
  if (length > maximum)
    throw new XdrError(`A ${what} of length ${length} is longer than the limit, ${maximum}.`);
}
