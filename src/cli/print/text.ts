import { parseRepositoryUrl } from "../../core/text/repository-url.ts";
import { withoutTrailing } from "../../core/text/text-ends.ts";

/**
 * Untrusted text (a job's label, a step's name, a message) as one harmless line: control characters are replaced, and so
 * terminal escape sequences. Characters that change the writing direction are replaced too.
 */
export function oneLine(text: string): string {
  return text.replace(/[\r\n\t]+/g, " ").replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, "�");
}

/** Like {@link oneLine}, but keeps line ends: for messages that quote several lines, such as the end of a console. */
export function manyLines(text: string): string {
  return text.split(/\r?\n/).map(oneLine).join("\n");
}

/** A time span for people: `0.4s`, `12s`, `3m05s`, `2h07m`, `4d03h`. */
export function durationText(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms < 9950) return `${(ms / 1000).toFixed(1)}s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${twoDigits(seconds % 60)}s`;
  if (seconds < 86_400)
    return `${Math.floor(seconds / 3600)}h${twoDigits(Math.floor((seconds % 3600) / 60))}m`;
  return `${Math.floor(seconds / 86_400)}d${twoDigits(Math.floor((seconds % 86_400) / 3600))}h`;
}

/** A point in time (ms since 1970) for people, the same on every machine: `2026-11-29 07:09:23 UTC`. */
export function timeText(ms: number | bigint): string {
  return new Date(Number(ms))
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, " UTC");
}

/** The day of a point in time (ms since 1970), in UTC: `2026-11-29`. */
export function dayText(ms: number | bigint): string {
  return timeText(ms).slice(0, 10);
}

/** The path of a repository's URL without slashes and `.git` at its end; empty for a text that is no URL. */
export function repositoryPath(url: string): string {
  const [path = ""] = (parseRepositoryUrl(url)?.path ?? "").split(/[?#]/, 1);
  return withoutTrailing(path, "/").replace(/\.git$/, "");
}

/** A short form of a repository's URL: `owner/name` of a forge, else host and path. */
export function repositoryText(url: string): string {
  const address = parseRepositoryUrl(url);
  if (!address) return oneLine(url);
  const path = repositoryPath(url).replace(/^\/+/, "");
  const host = address.port === null ? address.host : `${address.host}:${address.port}`;
  return oneLine(/^[^/]+\/[^/]+$/.test(path) ? path : `${host}/${path}`);
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}
