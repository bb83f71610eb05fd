import { createHash, timingSafeEqual } from "node:crypto";

/**
 * The token of an `Authorization: Bearer …` header, or null when the header is absent or has another form.
 */
export function bearerToken(authorization: string | null | undefined): string | null {
  return /^Bearer +([\x21-\x7e]{1,500})$/i.exec(authorization ?? "")?.[1] ?? null;
}

/** SHA-256 (hex) of a token. Tokens are stored and looked up only in this form. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Compares two secrets in constant time. Hashing both first makes the lengths equal. */
export function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
