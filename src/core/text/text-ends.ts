/**
 * The text without the characters of `characters` at its end. A pattern such as `/\/+$/` does the same in quadratic
 * time: it starts again at each slash of a long row that is not at the end.
 */
export function withoutTrailing(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}
