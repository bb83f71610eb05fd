import { decode as decodeXdr, encode as encodeXdr, int32, struct, uint32, XdrError } from "./xdr.ts";

/**
 * The envelope of libvirt's RPC protocol: u32 length (itself included), six u32 header fields, then an XDR body.
 * Source: libvirt.org/kbase/internals/rpc.html and virnetprotocol.x.
 */

/** Program number of the hypervisor API (REMOTE_PROGRAM). */
export const REMOTE_PROGRAM = 0x20008086;
/** Program number of the keepalive protocol (KEEPALIVE_PROGRAM). */
export const KEEPALIVE_PROGRAM = 0x6b656570;
/** The only version of both programs. */
export const PROTOCOL_VERSION = 1;
/** Largest packet that libvirt sends or accepts (VIR_NET_MESSAGE_MAX), in bytes, with its length word. */
export const MAX_PACKET_BYTES = 32 * 1024 * 1024;

/** virNetMessageType. `message` is an event from the server, or keepalive. */
export const PacketType = { call: 0, reply: 1, message: 2, stream: 3 } as const;
/** virNetMessageStatus. */
export const PacketStatus = { ok: 0, error: 1, continue: 2 } as const;

const LENGTH_BYTES = 4;
const HEADER_BYTES = 24;
const MIN_PACKET_BYTES = LENGTH_BYTES + HEADER_BYTES;

/** The six header fields of every packet. */
export interface PacketHeader {
  program: number;
  version: number;
  procedure: number;
  type: number;
  serial: number;
  status: number;
}

/** One packet: header and XDR body. */
export interface Packet {
  header: PacketHeader;
  body: Uint8Array;
}

const headerCodec = struct<PacketHeader>({
  program: uint32,
  version: uint32,
  procedure: int32,
  type: int32,
  serial: uint32,
  status: int32,
});

/** Encodes a packet for the socket. Throws {@link XdrError} above {@link MAX_PACKET_BYTES}. */
export function encodePacket(header: PacketHeader, body: Uint8Array): Uint8Array {
  const length = MIN_PACKET_BYTES + body.length;
  if (length > MAX_PACKET_BYTES) {
    throw new XdrError(`A packet of ${length} bytes is larger than the limit, ${MAX_PACKET_BYTES}.`);
  }
  return Buffer.concat([encodeXdr(uint32, length), encodeXdr(headerCodec, header), body]);
}

/**
 * Splits a stream of bytes into packets, whatever the chunks. Buffers at most one unfinished packet: {@link
 * MAX_PACKET_BYTES} and the rest of one read.
 */
export class PacketDecoder {
  #chunks: Uint8Array[] = [];
  #byteCount = 0;

  /** Returns the packets that `chunk` completes. Throws {@link XdrError} on an impossible packet length. */
  push(chunk: Uint8Array): Packet[] {
    this.#chunks.push(chunk);
    this.#byteCount += chunk.length;
    const packets: Packet[] = [];
    for (let bytes = this.#takePacket(); bytes; bytes = this.#takePacket()) packets.push(parsePacket(bytes));
    return packets;
  }

  #takePacket(): Uint8Array | undefined {
    if (this.#byteCount < LENGTH_BYTES) return undefined;
    const length = decodeXdr(uint32, this.#peek(LENGTH_BYTES));
    if (length < MIN_PACKET_BYTES || length > MAX_PACKET_BYTES) {
      throw new XdrError(
        `A packet cannot be ${length} bytes long (${MIN_PACKET_BYTES} to ${MAX_PACKET_BYTES}).`,
      );
    }
    if (this.#byteCount < length) return undefined;
    const all = joined(this.#chunks);
    this.#chunks = all.length > length ? [all.subarray(length)] : [];
    this.#byteCount = all.length - length;
    return all.subarray(0, length);
  }

  /** Returns the first bytes without joining all chunks: a 32 MiB packet arrives in hundreds of chunks. */
  #peek(byteCount: number): Uint8Array {
    const first = this.#chunks[0];
    if (first && first.length >= byteCount) return first.subarray(0, byteCount);
    this.#chunks = [joined(this.#chunks)];
    return this.#peek(byteCount);
  }
}

/** Joins chunks. A single chunk is not copied, because one chunk often holds many packets. */
function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [first, ...others] = chunks;
  return first && others.length === 0 ? first : Buffer.concat(chunks);
}

function parsePacket(bytes: Uint8Array): Packet {
  return {
    header: decodeXdr(headerCodec, bytes.subarray(LENGTH_BYTES, MIN_PACKET_BYTES)),
    body: bytes.subarray(MIN_PACKET_BYTES),
  };
}
