import type { Channel } from "rabbitmq-client";
import { SolsticeError } from "../../core/errors.ts";

/** Stands where a message has no content encoding. */
const noEncoding = "x-solstice-none";

interface HeaderFrame {
  readonly fields: { readonly contentEncoding?: string };
}

/** The part of the client library's channel that is touched here; it is not of its documented interface. */
interface HeaderReader {
  _onHeader?: (frame: HeaderFrame) => void;
}

/**
 * Makes a channel hand out the bytes of a message as they came. The client library parses what says it is JSON, before
 * any limit and with no way back to the bytes, unless the message names a content encoding: so one is put there on the way
 * in. The library's version is fixed in package.json for this, and a test sees bytes that would not survive.
 */
export function keepBodiesRaw(channel: Channel): void {
  const reader = channel as unknown as HeaderReader;
  const onHeader = reader._onHeader;
  if (typeof onHeader !== "function") {
    throw new SolsticeError("internal", "This version of rabbitmq-client reads messages in another way.");
  }
  reader._onHeader = (frame) => {
    const contentEncoding = frame.fields.contentEncoding || noEncoding;
    onHeader.call(channel, { ...frame, fields: { ...frame.fields, contentEncoding } });
  };
}

/** The content encoding that the producer gave a message of such a channel. */
export function originalEncoding(contentEncoding: string | undefined): string | undefined {
  return contentEncoding === noEncoding ? undefined : contentEncoding;
}
