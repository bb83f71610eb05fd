import type { CST } from "yaml";

/** Most levels of nested lists and maps. The deepest valid file has 6 levels. */
export const yamlDepthMax = 50;

/**
 * The offset of the first value below more than {@link yamlDepthMax} levels, or null. Works on tokens, because the tokenizer
 * does not recurse; the conversion of tokens to values does, and a deep file would exhaust its stack.
 */
export function tooDeepAt(tokens: readonly CST.Token[]): number | null {
  let level: CST.Token[] = [...tokens];
  for (let depth = 0; level.length > 0; depth += 1) {
    // A document and its value do not count as levels.
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
