import type { JobRequest } from "../request/job-request.ts";
import { decideSecret, type SecretRequester } from "./policy.ts";
import type { Secret, SecretSet } from "./secret.ts";

/** A job's share of the operator's secrets, and what is masked in its logs. */
export interface JobSecrets {
  /** The secrets that the job requests and may have. */
  readonly given: readonly Secret[];
  /**
   * The secret that git gets for the checkout without a request by the job; null when no secret is for this repository.
   */
  readonly checkout: Secret | null;
  /** Reasons why other requested secrets are withheld; one line each, for the beginning of the job's log. */
  readonly notes: readonly string[];
  /** Requested names that do not exist. */
  readonly unknown: readonly string[];
  /**
   * The values to mask in the job's logs: of all secrets that it names, given or not, and of its checkout. A secret that
   * was withdrawn while the job runs must not be shown either.
   */
  readonly masked: readonly string[];
}

type SecretsRequest = Pick<JobRequest, "secrets" | "from_fork" | "repo_url" | "ref">;

/** Decides about all secrets of a job; no other code does. Pure: the same secrets and request give the same answer. */
export function secretsOfJob(secrets: SecretSet, request: SecretsRequest): JobSecrets {
  const requester: SecretRequester = {
    repoUrl: request.repo_url ?? null,
    ref: request.ref ?? null,
    fromFork: request.from_fork,
  };
  const given: Secret[] = [];
  const notes: string[] = [];
  const unknown: string[] = [];
  for (const name of new Set(request.secrets)) {
    const secret = secrets.get(name);
    const decision = decideSecret(secret?.policy, requester);
    if (decision.kind === "given" && secret !== undefined) given.push(secret);
    else if (decision.kind === "withheld") notes.push(noteOf(name, decision.why));
    else unknown.push(name);
  }
  // A job with unknown names is refused before it runs, so these names were removed from the secrets file afterwards.
  const lost = unknown.map((name) => noteOf(name, "this host has no such secret any more"));
  const checkout = checkoutSecret(secrets, requester);
  const masked = valuesOf([...request.secrets.map((name) => secrets.get(name)), checkout]);
  return { given, checkout, notes: [...notes, ...lost], unknown, masked };
}

/** The line of a log with the reason why a job runs without a secret. */
function noteOf(name: string, why: string): string {
  return `solstice: secret ${name} is withheld: ${why}`;
}

/** The first secret for checkouts, in the order of the operator's file, that this job may have. */
function checkoutSecret(secrets: SecretSet, requester: SecretRequester): Secret | null {
  if (requester.repoUrl === null) return null;
  for (const secret of secrets.values()) {
    if (secret.checkout !== null && decideSecret(secret.policy, requester).kind === "given") return secret;
  }
  return null;
}

function valuesOf(secrets: readonly (Secret | null | undefined)[]): string[] {
  return [...new Set(secrets.flatMap((secret) => secret?.value.reveal() ?? []))];
}
