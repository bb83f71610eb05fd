/** The keys of a message, and of the messages in its lists. */
export interface MessageKeys {
  readonly keys: readonly string[];
  /** Keys whose value is one such message, or a list of them. */
  readonly inner?: Readonly<Record<string, MessageKeys>>;
}

/**
 * A copy of `input` with its known fields alone, and without those that are `null`, which is how some producers write a field that is
 * absent. The time does not depend on what else a message has.
 */
export function presentFields(input: unknown, { keys, inner = {} }: MessageKeys): unknown {
  if (!isRecord(input)) return input;
  const present = keys.filter((key) => Object.hasOwn(input, key) && input[key] !== null);
  return Object.fromEntries(
    present.map((key) => {
      const [value, known] = [input[key], inner[key]];
      if (known === undefined) return [key, value];
      const clean = (one: unknown) => presentFields(one, known);
      return [key, Array.isArray(value) ? value.map(clean) : clean(value)];
    }),
  );
}

/**
 * The places in `input` that `read`, which was made of it, does not have, at any depth: paths of keys. A known field that is `null` has
 * no place there and is none of them.
 */
export function unreadPlaces(input: unknown, read: unknown, known?: MessageKeys): (string | number)[][] {
  if (Array.isArray(input) && Array.isArray(read)) {
    return input.flatMap((item, at) => unreadPlaces(item, read[at], known).map((path) => [at, ...path]));
  }
  if (!isRecord(input) || !isRecord(read)) return [];
  return Object.entries(input).flatMap(([key, value]): (string | number)[][] => {
    if (value === null && known?.keys.includes(key)) return [];
    if (!Object.hasOwn(read, key)) return [[key]];
    return unreadPlaces(value, read[key], known?.inner?.[key]).map((path) => [key, ...path]);
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
