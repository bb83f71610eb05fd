/** The keys of a message, and of the messages in its lists. */
export interface MessageKeys {
  readonly keys: readonly string[];
  /** Keys whose value counts as absent when it is an empty text, as some producers write it. */
  readonly emptyIsAbsent?: readonly string[];
  /** Keys whose value is one such message, or a list of them. */
  readonly inner?: Readonly<Record<string, MessageKeys>>;
}

/**
 * A copy of `input` with only its known fields, and without fields that are `null` or, where the key allows that, an
 * empty text: some producers write absent fields like this. The time does not depend on unknown fields of a message.
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

/** The places in `input` with unknown keys, at any depth: paths of keys. `input` may be invalid in other ways. */
export function unknownPlaces(input: unknown, known: MessageKeys): (string | number)[][] {
  if (Array.isArray(input)) {
    return input.flatMap((item, at) => unknownPlaces(item, known).map((path) => [at, ...path]));
  }
  if (!isRecord(input)) return [];
  return Object.entries(input).flatMap(([key, value]): (string | number)[][] => {
    if (!known.keys.includes(key)) return [[key]];
    const inner = known.inner?.[key];
    return inner === undefined ? [] : unknownPlaces(value, inner).map((path) => [key, ...path]);
  });
}

function isAbsent(key: string, value: unknown, { keys, emptyIsAbsent = [] }: MessageKeys): boolean {
  return (value === null && keys.includes(key)) || (value === "" && emptyIsAbsent.includes(key));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
