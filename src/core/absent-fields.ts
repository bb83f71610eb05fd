/** The keys of a message, and of the messages in its lists. */
export interface MessageKeys {
  readonly keys: readonly string[];
  /** Keys whose value is absent where it is an empty text, as some producers write it. */
  readonly emptyIsAbsent?: readonly string[];
  /** Keys whose value is one such message, or a list of them. */
  readonly inner?: Readonly<Record<string, MessageKeys>>;
}

/**
 * A copy of `input` with its known fields alone, and without those that are `null` or, where the key allows it, an empty text: so
 * some producers write a field that is absent. The time does not depend on what else a message has.
 */
export function presentFields(input: unknown, known: MessageKeys): unknown {
  if (!isRecord(input)) return input;
  const { keys, inner = {} } = known;
  const present = keys.filter((key) => Object.hasOwn(input, key) && !isAbsent(key, input[key], known));
  return Object.fromEntries(
    present.map((key) => {
      const [value, innerKeys] = [input[key], inner[key]];
      if (innerKeys === undefined) return [key, value];
      const clean = (one: unknown) => presentFields(one, innerKeys);
      return [key, Array.isArray(value) ? value.map(clean) : clean(value)];
    }),
  );
}

/**
 * The places in `input` that `read`, which was made of it, does not have, at any depth: paths of keys. A known field that counts as
 * absent has no place there and is none of them.
 */
export function unreadPlaces(input: unknown, read: unknown, known?: MessageKeys): (string | number)[][] {
  if (Array.isArray(input) && Array.isArray(read)) {
    return input.flatMap((item, at) => unreadPlaces(item, read[at], known).map((path) => [at, ...path]));
  }
  if (!isRecord(input) || !isRecord(read)) return [];
  return Object.entries(input).flatMap(([key, value]): (string | number)[][] => {
    if (known && isAbsent(key, value, known)) return [];
    if (!Object.hasOwn(read, key)) return [[key]];
    return unreadPlaces(value, read[key], known?.inner?.[key]).map((path) => [key, ...path]);
  });
}

function isAbsent(key: string, value: unknown, { keys, emptyIsAbsent = [] }: MessageKeys): boolean {
  return (value === null && keys.includes(key)) || (value === "" && emptyIsAbsent.includes(key));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
