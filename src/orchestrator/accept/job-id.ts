import { randomBytes } from "node:crypto";

/** Without i, l, o and u, because people read ids aloud and type them. */
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

/** The length of an id: 60 random bits, short enough for people to type a prefix. */
const idChars = 12;

/**
 * Makes a random job id. It is also the end of the guest's name, so it has only lower case letters and
 * digits.
 */
export function newJobId(): string {
  let id = "";
  for (const byte of randomBytes(idChars)) id += alphabet[byte % alphabet.length];
  return id;
}
