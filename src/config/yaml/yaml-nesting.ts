import type { CST } from "yaml";

/** How deep lists and maps may be in each other. The deepest valid file has 6 levels. */
export const yamlDepthMax = 50;

/**
 * The offset of the first value below more than {@link yamlDepthMax} levels; null where there is none. Looks at the tokens, which are
 * made without recursion: what makes values of them recurses, and a deep file would exhaust the stack there.
 */
export function tooDeepAt(tokens: readonly CST.Token[]): number | null {
  let level: CST.Token[] = [...tokens];
  for (let depth = 0; level.length > 0; depth += 1) {
    // A document and its value are no levels.
    if (depth > yamlDepthMax + 1) return level[0]?.offset ?? 0;
    level = level.flatMap(innerTokens);
  }
  return null;
}

function innerTokens(token: CST.Token): CST.Token[] {
  if (token.type === "document") return token.value === undefined ? [] : [token.value];
  if (!("items" in token)) return [];
  return token.items.flatMap((item) => [item.key, item.value].filter((one) => isToken(one)));
}

function isToken(token: CST.Token | null | undefined): token is CST.Token {
  return token !== null && token !== undefined;
}
