import type { Channel } from "rabbitmq-client";
import { SolsticeError } from "../../core/errors.ts";

/** Content encoding set on messages that have none. */
const noEncoding = "x-solstice-none";

interface HeaderFrame {
  readonly fields: { readonly contentEncoding?: string };
}

/** The part of the client library's channel that this file changes; not in its documented interface. */
interface HeaderReader {
  _onHeader?: (frame: HeaderFrame) => void;
}

/**
 * Makes a channel deliver the unchanged bytes of each message. The client library parses every message whose content
 * type is JSON, before any limit and without access to the bytes, unless the message has a content encoding: so
 * incoming messages get one. The library's version is fixed in package.json for this, and a test delivers bytes that
 * parsing would change.
 */
export function keepBodiesRaw(channel: Channel): void {
  const reader = channel as unknown as HeaderReader;
  const onHeader = reader._onHeader;
  if (typeof onHeader !== "function") {
    throw new SolsticeError(
      "internal",
      "This version of rabbitmq-client has no message reader that Solstice can replace.",
    );
  }
  reader._onHeader = (frame) => {
    const contentEncoding = frame.fields.contentEncoding || noEncoding;
    onHeader.call(channel, { ...frame, fields: { ...frame.fields, contentEncoding } });
  };
}

/** Returns the content encoding that the producer set, for messages of such a channel. */
export function originalEncoding(contentEncoding: string | undefined): string | undefined {
  return contentEncoding === noEncoding ? undefined : contentEncoding;
}
