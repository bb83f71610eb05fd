/** The shortest abbreviation of a name. */
const abbreviationCharsMin = 4;

/**
 * The name in `known` that `name` was probably meant to be, or null without a near one. Near means that at most a third
 * of its letters differ or are exchanged with their neighbours, ignoring case, or that `name` is the beginning of
 * exactly one known name, as `timeout` is of `timeout_seconds`.
 */
export function closestName(name: string, known: Iterable<string>): string | null {
  const all = [...known];
  return nearestByLetters(name, all) ?? onlyNameThatBegins(name, all);
}

function onlyNameThatBegins(name: string, known: readonly string[]): string | null {
  if (name.length < abbreviationCharsMin) return null;
  const beginning = name.toLowerCase();
  const [only, second] = known.filter((candidate) => candidate.toLowerCase().startsWith(beginning));
  return second === undefined ? (only ?? null) : null;
}

function nearestByLetters(name: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Math.floor(name.length / 3) + 1;
  for (const candidate of known) {
    // The difference in length is a lower bound of the distance: a very long name costs nothing.
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** ` (did you mean "x"?)` for a near name, else an empty text. To be placed after the unknown name. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const closest = closestName(name, known);
  return closest === null ? "" : ` (did you mean "${closest}"?)`;
}

/** Number of letters to insert, remove, replace or exchange with the next one; keeps two rows of the usual table. */
function editDistance(from: string, to: string): number {
  let before: readonly number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let line = 1; line <= from.length; line += 1) {
    const next = [line];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = at(row, column - 1) + (from[line - 1] === to[column - 1] ? 0 : 1);
      const isExchanged = from[line - 1] === to[column - 2] && from[line - 2] === to[column - 1];
      const exchanged = line > 1 && column > 1 && isExchanged ? at(before, column - 2) + 1 : replaced;
      next.push(Math.min(replaced, exchanged, at(row, column) + 1, at(next, column - 1) + 1));
    }
    [before, row] = [row, next];
  }
  return at(row, to.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? 0;
}
