import { Complaint } from "../zones/complaint.ts";
import type { Resource, ZoneConfig } from "../zones/records.ts";
import { resourceKinds } from "./resources.ts";
import { keywords, type Word } from "./zonecfg-words.ts";

/** A simple value, a list `[a,b]`, or a complex value `(name=x,value=y)` as one text (zonecfg_grammar.y). */
export function readValue(words: readonly Word[]): string | readonly string[] {
  const [first] = words;
  if (!first) throw new Complaint("syntax error at '\\n'");
  if (first.text === "(" && first.isMark) return words.map(({ text }) => text).join("");
  if (first.text === "[" && first.isMark && words.at(-1)?.text === "]") {
    return words.slice(1, -1).flatMap(({ isMark, text }) => (isMark ? [] : [text]));
  }
  const wrong = words[1] ?? (first.isMark || isKeyword(first) ? first : undefined);
  if (wrong) throw new Complaint(`syntax error at '${wrong.text}'`);
  return first.text;
}

/** A word of the language is a value only in quotes: the lexer passes it to the grammar as a keyword. */
function isKeyword({ text, isQuoted }: Word): boolean {
  return !isQuoted && keywords.has(text);
}

/** The resources of a kind that have all given properties (`fs dir=/x`). */
export function matching(config: ZoneConfig, [type, ...pairs]: readonly Word[]): Resource[] {
  const wanted: [string, string][] = [];
  for (let at = 0; at < pairs.length; at += 3)
    wanted.push([pairs[at]?.text ?? "", pairs[at + 2]?.text ?? ""]);
  return config.resources.filter(
    (one) => one.type === type?.text && wanted.every(([name, value]) => one.properties[name] === value),
  );
}

/** `add options ro`: adds a value to a list. */
export function addedValue(resource: Resource, name: string, words: readonly Word[]): Resource {
  if (!keywords.has(name)) throw new Complaint(`syntax error at '${name || "\\n"}'`);
  if (!resourceKinds[resource.type]?.lists.includes(name))
    throw new Complaint(`${name}: No such property type`);
  const values = ([] as string[]).concat(
    resource.properties[name] ?? [],
    readValue(words) as string | string[],
  );
  return { ...resource, properties: { ...resource.properties, [name]: values } };
}

/** `remove options ro`: removes one value from a list. */
export function removedValue(resource: Resource, [name, ...words]: readonly Word[]): Resource {
  const key = name?.text ?? "";
  const unwanted = readValue(words);
  const values = ([] as string[]).concat(resource.properties[key] ?? []);
  const kept = values.filter((one) => !([] as string[]).concat(unwanted as string | string[]).includes(one));
  if (kept.length === values.length) throw new Complaint(`${key}: No such property with that id`);
  return { ...resource, properties: { ...resource.properties, [key]: kept } };
}
