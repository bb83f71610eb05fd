import { homedir } from "node:os";
import { resolve } from "node:path";
import { restartGraceMaxMs } from "../../core/hosts/host-watch.ts";
import { withoutTrailing } from "../../core/text/text-ends.ts";
import type { BlobPlace, EnvironmentFilePlace, ListenAddress } from "../orchestrator-config.ts";

/** The result of parsing a text: the value, or a description of valid values that can follow the word "needs". */
export type Parsed<Value> = { readonly value: Value } | { readonly expected: string };

/** Parses the text of a flag or variable. Never throws: the caller collects all problems. */
export type Parser<Value> = (text: string) => Parsed<Value>;

/** A whole number within bounds, both included. */
export function wholeNumber(min: number, max: number): Parser<number> {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return { value };
    return { expected: `a whole number from ${min} to ${max}` };
  };
}

/** One of a few words. */
export function oneOf<const Word extends string>(...words: readonly Word[]): Parser<Word> {
  return (text) => {
    const value = words.find((word) => word === text);
    return value === undefined ? { expected: `one of ${words.join(", ")}` } : { value };
  };
}

const unitSeconds: Readonly<Record<string, number>> = { d: 86_400, h: 3600, m: 60, s: 1 };
const durationMaxSeconds = 7 * 86_400;

/** A time span like `30s`, `5m`, `1h30m` or `90` (seconds) as whole seconds, from one second to seven days. */
export function duration(text: string): Parsed<number> {
  const expected = "a time span from 1s to 7d, such as 30s, 5m, 1h30m or 90 (seconds)";
  const value = spanSeconds(text);
  return value !== null && value >= 1 && value <= durationMaxSeconds ? { value } : { expected };
}

/** `1h30m` or `90` in seconds; null for a text that is no time span. */
function spanSeconds(text: string): number | null {
  const match = /^(?:(\d{1,6})|((?:\d{1,6}[dhms])+))$/.exec(text);
  if (!match) return null;
  const parts = [...(match[2] ?? `${match[1]}s`).matchAll(/(\d+)([dhms])/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (unitSeconds[unit ?? ""] ?? 0), 0);
}

/** A time span from one second to an hour, as whole seconds. Other hosts wait an hour at most (`restartGraceMaxMs`). */
export function restartGrace(text: string): Parsed<number> {
  const expected = "a time span from 1s to 1h, such as 90s or 5m";
  const value = spanSeconds(text);
  return value !== null && value >= 1 && value * 1000 <= restartGraceMaxMs ? { value } : { expected };
}

const retentionMaxSeconds = 36_500 * 86_400;

/** A time span from one second to a hundred years, or 0 for ever, as whole seconds. */
export function retention(text: string): Parsed<number> {
  const expected = "a time span such as 12h or 90d, or 0 to keep for ever";
  if (text === "0") return { value: 0 };
  const value = spanSeconds(text);
  return value !== null && value >= 1 && value <= retentionMaxSeconds ? { value } : { expected };
}

/** A path, made absolute against the working directory. `~` is refused: only a shell expands it, and here it would become a folder name. */
export function path(text: string): Parsed<string> {
  if (text.includes("\0")) return { expected: "a path without NUL characters" };
  if (text.startsWith("~")) return { expected: `a path without ~, such as ${text.replace(/^~/, homedir())}` };
  return { value: resolve(text) };
}

/** A path. A `-` before the path means that the file may be absent, as in systemd's `EnvironmentFile=`. */
export function environmentFile(text: string): Parsed<EnvironmentFilePlace> {
  const isOptional = text.startsWith("-");
  const parsed = path(isOptional ? text.slice(1) : text);
  return "value" in parsed ? { value: { path: parsed.value, isOptional } } : parsed;
}

/** `HOST:PORT` or `[IPv6]:PORT`. Port 0 lets the kernel choose. */
export function listenAddress(text: string): Parsed<ListenAddress> {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port > 65_535) {
    return { expected: "HOST:PORT, such as 127.0.0.1:7410 or [::1]:7410" };
  }
  return { value: { host, port } };
}

/** A http or https URL, without a slash at its end. */
export function httpUrl(text: string): Parsed<string> {
  const url = URL.parse(text);
  if (url && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "") {
    return { value: withoutTrailing(url.href, "/") };
  }
  return { expected: "a http or https URL, such as http://192.168.122.1:7411" };
}

/** A token that fits into a HTTP header unchanged. */
export function token(text: string): Parsed<string> {
  if (/^[\x21-\x7e]{1,1000}$/.test(text)) return { value: text };
  return { expected: "at most 1000 printable ASCII characters without spaces" };
}

/** A libvirt connection URI. Only its form is checked here; the client checks the driver and the transport. */
export function libvirtUri(text: string): Parsed<string> {
  if (/^[a-z][a-z0-9+]*:\/\/\S*$/.test(text)) return { value: text };
  return { expected: "a libvirt URI, such as qemu:///system" };
}

/** The name of a libvirt network. A plain word, because the name becomes part of XML and messages. */
export function networkName(text: string): Parsed<string> {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/.test(text)) return { value: text };
  return { expected: "a network name of letters, digits, dots, dashes and underlines" };
}

const capMax = 1000;

/** `LABEL=N,LABEL=N`: the number of jobs of each label that may run at once; 0 stops a label. */
export function capacityMap(text: string): Parsed<ReadonlyMap<string, number>> {
  const expected = `LABEL=N pairs joined by commas (N from 0 to ${capMax}, each label once), such as illumos-latest=2,ubuntu-22.04=4`;
  const caps = new Map<string, number>();
  for (const pair of text.split(",")) {
    const match = /^\s*([^\s=]+)\s*=\s*(\d{1,4})\s*$/.exec(pair);
    const [label, cap] = [match?.[1], Number(match?.[2])];
    if (label === undefined || cap > capMax || caps.has(label)) return { expected };
    caps.set(label, cap);
  }
  return { value: caps };
}

/** A PostgreSQL connection URL. Only its form is checked here. It may contain a password. */
export function databaseUrl(text: string): Parsed<string> {
  const url = URL.parse(text);
  if (url && /^postgres(ql)?:$/.test(url.protocol)) return { value: text };
  return { expected: "a PostgreSQL URL, such as postgres://user@host:5432/solstice" };
}

/** A RabbitMQ connection URL. */
export function amqpUrl(text: string): Parsed<string> {
  const url = URL.parse(text);
  if (url && /^amqps?:$/.test(url.protocol) && url.hostname !== "") return { value: text };
  return { expected: "an AMQP URL, such as amqp://user@host:5672/vhost" };
}

/** The name of an exchange or queue, or a routing key: AMQP's short strings have at most 255 bytes. */
export function amqpName(text: string): Parsed<string> {
  if (/^[A-Za-z0-9_.:-]{1,200}$/.test(text) && !text.startsWith("amq.")) return { value: text };
  return { expected: "1 to 200 letters, digits and . _ : - that do not begin with amq." };
}

/** `s3://BUCKET/PREFIX`, or a path. A prefix consists of plain words, because it becomes part of our keys. */
export function blobPlace(text: string): Parsed<BlobPlace> {
  if (!/^[a-z0-9]+:\/\//i.test(text)) {
    const directory = path(text);
    return "value" in directory ? { value: { kind: "directory", path: directory.value } } : directory;
  }
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([a-z0-9][a-z0-9._/-]{0,200}))?$/.exec(text);
  const prefix = withoutTrailing(match?.[2] ?? "", "/");
  if (match?.[1] === undefined || /\/[^a-z0-9]|\/$/.test(prefix)) {
    return { expected: "a directory, or s3://BUCKET/PREFIX in lower-case letters, digits, dots and dashes" };
  }
  return { value: { kind: "s3", bucket: match[1], prefix: prefix === "" ? "" : `${prefix}/` } };
}

/** The name of a region; S3-compatible servers choose their own. */
export function s3Region(text: string): Parsed<string> {
  if (/^[A-Za-z0-9-]{1,60}$/.test(text)) return { value: text };
  return { expected: "a region's name of letters, digits and dashes, such as us-east-1" };
}

const refNamesMax = 20;

/** Names of branches, separated by commas; empty for none. */
export function refNames(text: string): Parsed<readonly string[]> {
  const names = text.split(",").filter((name) => name !== "");
  const isValid = names.every((name) => /^[^-\s~^:?*[\\\p{Cc}][^\s~^:?*[\\\p{Cc}]{0,199}$/u.test(name));
  if (isValid && names.length <= refNamesMax)
    return { value: names.map((name) => name.replace(/^refs\/heads\//, "")) };
  return { expected: `at most ${refNamesMax} branches, separated by commas, such as main,release` };
}
