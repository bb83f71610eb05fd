import { stat } from "node:fs/promises";
import { SolsticeError } from "../../core/errors.ts";
import { searchBytesMax } from "../../core/secrets/byte-search.ts";
import { leastFragmentsOf, maskableProblem } from "../../core/secrets/fragments.ts";
import type { CheckoutUse, Secret, SecretSet } from "../../core/secrets/secret.ts";
import { SecretValue } from "../../core/secrets/secret-value.ts";
import { readUtf8 } from "../../core/text/utf8-text.ts";
import { shapeProblems } from "../yaml/shape-problems.ts";
import type { PlacedProblem } from "../yaml/yaml-source.ts";
import { parseYaml } from "../yaml/yaml-source.ts";
import { readPrivateFile } from "./read-private-file.ts";
import type { SecretsReading, SecretsSource } from "./secrets-config.ts";
import {
  knownSecretKeysAt,
  type SecretEntry,
  type SecretsFile,
  secretsLimits,
  secretsSchema,
} from "./secrets-schema.ts";

const problemsShownMax = 50;

/**
 * Reads a secrets file and the files that it names. Throws one `config_invalid` error with all problems, one on each line, in
 * the order of the file: `file:line:column: problem; valid form`. No message repeats a value.
 */
export async function loadSecrets({ path, env }: SecretsSource): Promise<SecretsReading> {
  const versions = new Map<string, string>();
  const read = await readPrivateFile(path, secretsLimits.fileBytes);
  versions.set(path, read.version);
  if ("problem" in read) throw new SolsticeError("config_invalid", `--secrets-file: ${read.problem}`);
  const decoded = readUtf8(read.bytes);
  if ("wrongLine" in decoded) {
    const where = `${path}:${decoded.wrongLine}:1`;
    throw new SolsticeError(
      "config_invalid",
      `${where}: not UTF-8 text; needs the secrets file saved as UTF-8`,
    );
  }
  const { text } = decoded;
  const source = parseYaml(text, { secret: true });
  const parsed =
    source.data === undefined ? null : secretsSchema.safeParse(source.data, { reportInput: true });
  const problems: PlacedProblem[] = [];
  const secrets = new Map<string, Secret>();
  if (parsed && !parsed.success) {
    const words = { file: "the secrets file", knownKeysAt: knownSecretKeysAt, secret: true } as const;
    problems.push(...shapeProblems(parsed.error.issues, words));
  } else if (parsed) {
    problems.push(...(await readSecrets(parsed.data, { env, versions, secrets })));
  }
  const placed = problems.map(({ message, ...place }) => ({ offset: source.offsetOf(place), message }));
  const ordered = [...source.problems, ...placed].toSorted((one, other) => one.offset - other.offset);
  const lines = ordered.map(({ offset, message }) => `${path}:${source.position(offset)}: ${message}`);
  if (lines.length > 0) {
    throw new SolsticeError("config_invalid", [...new Set(lines)].slice(0, problemsShownMax).join("\n"));
  }
  return { secrets, versions };
}

/** True when one of the files has changed since it was read. Costs one stat(2) for each file. */
export async function haveSecretsChanged(versions: ReadonlyMap<string, string>): Promise<boolean> {
  for (const [path, version] of versions) {
    const facts = await stat(path, { bigint: true }).catch(() => null);
    const now = facts === null ? "none" : `${facts.ino} ${facts.size} ${facts.mtimeNs} ${facts.ctimeNs}`;
    if (now !== version) return true;
  }
  return false;
}

interface Reading {
  readonly env: SecretsSource["env"];
  readonly versions: Map<string, string>;
  readonly secrets: Map<string, Secret>;
}

async function readSecrets(file: SecretsFile, reading: Reading): Promise<PlacedProblem[]> {
  const problems: PlacedProblem[] = [];
  let total = 0;
  for (const [name, entry] of Object.entries(file.secrets)) {
    const report = (message: string) =>
      problems.push({ path: ["secrets", name], message: `${name} ${message}` });
    for (const problem of entryProblems(entry)) report(problem);
    const value = await readValue(entry, reading);
    const problem = "problem" in value ? value.problem : valueProblem(value.text);
    if (problem !== null) report(problem);
    if (!("text" in value)) continue;
    total += Buffer.byteLength(value.text);
    reading.secrets.set(name, createSecret(name, entry, value.text));
  }
  if (total > secretsLimits.totalBytes) {
    const message = `all values together have ${total} bytes; needs at most ${secretsLimits.totalBytes}`;
    problems.push({ path: ["secrets"], message });
  } else if (searchedBytes(reading.secrets) > searchBytesMax) {
    const message = "all values together are too much to search logs for; needs fewer, or shorter ones";
    problems.push({ path: ["secrets"], message });
  }
  return problems;
}

/** Number of bytes that masking must search for, for a job with all secrets. */
function searchedBytes(secrets: SecretSet): number {
  const fragments = [...secrets.values()].flatMap(({ value }) => leastFragmentsOf(value.reveal()));
  return fragments.reduce((sum, fragment) => sum + fragment.length, 0);
}

function entryProblems(entry: SecretEntry): string[] {
  const problems: string[] = [];
  const sources = [entry.value, entry.file, entry.environment].filter((source) => source !== undefined);
  if (sources.length !== 1) problems.push("needs exactly one of value, file and environment");
  if (entry.repositories === undefined && !entry.without_repository) {
    problems.push("is for no job; needs repositories (and refs), or without_repository: true");
  }
  if (entry.repositories !== undefined && entry.refs === undefined) {
    problems.push("has no refs; needs a list such as [refs/heads/main], or `refs: any` for every ref");
  }
  if (entry.repositories === undefined && entry.refs !== undefined) {
    problems.push("has refs and no repositories; needs both");
  }
  if (entry.checkout !== undefined && entry.repositories === undefined) {
    problems.push("is for a checkout; needs repositories");
  }
  return problems;
}

/** The value's text, or the problem; a null problem for an entry without exactly one source, which {@link entryProblems} reports. */
async function readValue(
  entry: SecretEntry,
  { env, versions }: Reading,
): Promise<{ text: string } | { problem: string | null }> {
  if (entry.value !== undefined) return { text: entry.value };
  if (entry.environment !== undefined) {
    const text = env[entry.environment];
    if (text !== undefined && text !== "") return { text };
    return { problem: `has no value: the orchestrator has no environment variable ${entry.environment}` };
  }
  if (entry.file === undefined) return { problem: null };
  const read = await readPrivateFile(entry.file, secretsLimits.valueBytes + 1);
  versions.set(entry.file, read.version);
  if ("problem" in read) return { problem: `has no value: ${read.problem}` };
  const decoded = readUtf8(read.bytes);
  if ("wrongLine" in decoded)
    return { problem: `has a value that is not UTF-8 text; needs base64 of it, for example` };
  // Like $(cat FILE): the last line end of a file is not part of the token.
  return { text: decoded.text.replace(/\r?\n$/, "") };
}

function valueProblem(text: string): string | null {
  if (text.includes("\0")) return "has a value with a NUL character; needs base64 of it, for example";
  if (Buffer.byteLength(text) > secretsLimits.valueBytes) {
    return `has a value that is too long; needs at most ${secretsLimits.valueBytes} bytes`;
  }
  const problem = maskableProblem(text);
  return problem === null ? null : `has a value that cannot be masked; needs ${problem}`;
}

function createSecret(name: string, entry: SecretEntry, text: string): Secret {
  return Object.freeze({
    name,
    value: new SecretValue(text),
    policy: Object.freeze({
      repositories: entry.repositories ?? [],
      refs: entry.refs ?? [],
      withoutRepository: entry.without_repository ?? false,
    }),
    checkout: checkoutUse(entry.checkout),
  });
}

function checkoutUse(checkout: SecretEntry["checkout"]): CheckoutUse | null {
  if (checkout === undefined) return null;
  return checkout === "ssh_key" ? { kind: "ssh_key" } : { kind: "password", username: checkout.username };
}
