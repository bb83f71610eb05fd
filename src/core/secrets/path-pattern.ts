/**
 * True when a path-like name matches a pattern. Both are split at their slashes, and segments are compared in pairs:
 * `*` stands for any characters within its segment (at most one `*` in a segment), and a last segment `**` for one or
 * more whole segments. No other character is special, so a pattern never matches beyond its own segments.
 */
export function matchesPath(pattern: string, name: string): boolean {
  const wanted = pattern.split("/");
  const given = name.split("/");
  const isOpen = wanted.at(-1) === "**";
  if (isOpen) wanted.pop();
  if (isOpen ? given.length <= wanted.length : given.length !== wanted.length) return false;
  return wanted.every((segment, at) => matchesSegment(segment, given[at] ?? ""));
}

function matchesSegment(pattern: string, segment: string): boolean {
  const star = pattern.indexOf("*");
  if (star < 0) return pattern === segment;
  const [before, after] = [pattern.slice(0, star), pattern.slice(star + 1)];
  return (
    segment.length >= before.length + after.length && segment.startsWith(before) && segment.endsWith(after)
  );
}

/** The problem with the stars of a pattern, to follow the word "needs"; null for a valid pattern. */
export function starProblem(pattern: string): string | null {
  const segments = pattern.split("/");
  const isOpen = segments.at(-1) === "**";
  const closed = isOpen ? segments.slice(0, -1) : segments;
  if (closed.every((segment) => segment.indexOf("*") === segment.lastIndexOf("*"))) return null;
  return "at most one * between two slashes, and ** only as all of the last part";
}
