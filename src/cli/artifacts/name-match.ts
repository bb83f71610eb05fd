/**
 * Whether `name` is `wanted`, lies below it, or matches it as a pattern: `*` and `?` within one part of a path, `**` across
 * parts. The pattern is the caller's own.
 */
export function nameMatches(name: string, wanted: string): boolean {
  if (name === wanted || name.startsWith(`${wanted.replace(/\/+$/, "")}/`)) return true;
  const source = wanted
    .split(/(\*\*\/?|\*|\?)/)
    .map((piece) => {
      if (piece === "**/") return "(?:.*/)?";
      if (piece === "**") return ".*";
      if (piece === "*") return "[^/]*";
      return piece === "?" ? "[^/]" : piece.replace(/[.+^${}()|[\]\\]/g, "\\$&");
    })
    .join("");
  return new RegExp(`^${source}$`, "su").test(name);
}
