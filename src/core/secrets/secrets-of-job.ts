import type { JobRequest } from "../request/job-request.ts";
import { decideSecret, type SecretAsker } from "./policy.ts";
import type { Secret, SecretSet } from "./secret.ts";

/** What a job gets of the operator's secrets. */
export interface JobSecrets {
  readonly given: readonly Secret[];
  /** Why it does not get the others that it asks for; one line each, for the beginning of its log. */
  readonly notes: readonly string[];
  /** The names that it asks for, and that nobody knows. */
  readonly unknown: readonly string[];
  /** What git gets for the checkout, without being asked for; null where there is none for this repository. */
  readonly checkout: Secret | null;
}

type SecretsRequest = Pick<JobRequest, "secrets" | "from_fork" | "repo_url" | "ref">;

/** Decides about all secrets of a job. Pure: the same secrets and request give the same answer. */
export function secretsOfJob(secrets: SecretSet, request: SecretsRequest): JobSecrets {
  const asker: SecretAsker = {
    repoUrl: request.repo_url ?? null,
    ref: request.ref ?? null,
    fromFork: request.from_fork,
  };
  const given: Secret[] = [];
  const notes: string[] = [];
  const unknown: string[] = [];
  for (const name of new Set(request.secrets)) {
    const secret = secrets.get(name);
    const decision = decideSecret(secret?.policy, asker);
    if (decision.kind === "given" && secret !== undefined) given.push(secret);
    else if (decision.kind === "withheld") notes.push(noteOf(name, decision.why));
    else unknown.push(name);
  }
  return { given, notes, unknown, checkout: checkoutSecret(secrets, asker) };
}

/** The line of a log that says why a job runs without a secret. */
export function noteOf(name: string, why: string): string {
  return `solstice: secret ${name} is withheld: ${why}`;
}

/** The first in the operator's file that this job may have. */
function checkoutSecret(secrets: SecretSet, asker: SecretAsker): Secret | null {
  if (asker.repoUrl === null) return null;
  for (const secret of secrets.values()) {
    if (secret.checkout !== null && decideSecret(secret.policy, asker).kind === "given") return secret;
  }
  return null;
}

/**
 * The values to look for in a job's logs: of all secrets that it names, given or not, and of its checkout. A secret that was
 * taken from it while it runs must not show either.
 */
export function valuesToMask(secrets: SecretSet, request: SecretsRequest): string[] {
  const named = request.secrets.flatMap((name) => secrets.get(name) ?? []);
  const { checkout } = secretsOfJob(secrets, request);
  const all = checkout === null ? named : [...named, checkout];
  return [...new Set(all.map(({ value }) => value.reveal()))];
}
