import { randomBytes } from "node:crypto";

/** Without i, l, o and u: ids are read aloud and typed. */
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

/** How many characters an id has: 60 random bits, short enough to type the beginning of one. */
const idChars = 12;

/** A new random job id; also the end of its guest's name, so only lower case letters and digits. */
export function newJobId(): string {
  let id = "";
  for (const byte of randomBytes(idChars)) id += alphabet[byte % alphabet.length];
  return id;
}
