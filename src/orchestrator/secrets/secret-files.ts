import { haveSecretsChanged, loadSecrets } from "../../config/secrets/load-secrets.ts";
import type { SecretsConfig, SecretsReading } from "../../config/secrets/secrets-config.ts";
import { errorText } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { JobRequest } from "../../core/request/job-request.ts";
import type { SecretSet } from "../../core/secrets/secret.ts";
import { type JobSecrets, secretsOfJob } from "../../core/secrets/secrets-of-job.ts";

/** The operator's current secrets. In memory only. */
export interface SecretFiles {
  current(): SecretSet;
  /** The secrets that a job receives, and the values masked in its logs. */
  decide(request: JobRequest): JobSecrets;
  /**
   * {@link decide} for a job that may need changed files: if the job names a secret, changed files are read
   * first. An invalid file changes nothing: the last valid secrets stay, and the problem is logged. Never
   * rejects.
   */
  refreshAndDecide(request: JobRequest): Promise<JobSecrets>;
  /** Replaces the secrets by those of another configuration; null: no secrets. */
  replace(config: SecretsConfig | null): void;
}

/** Opens the operator's secrets file; without a file there are no secrets. */
export function createSecretFiles(initial: SecretsConfig | null, log: Log): SecretFiles {
  let config = initial;
  let reading = initial?.initial ?? noSecrets;
  let refreshing: Promise<void> | null = null;
  let lastProblem = "";
  const facts = () => ({ file: config?.source.path, names: [...reading.secrets.keys()] });
  if (config !== null) log.info(facts(), "secrets loaded");

  const refresh = async () => {
    const present = config;
    if (present === null || !(await haveSecretsChanged(reading.versions))) return;
    try {
      const next = await loadSecrets(present.source);
      // Another configuration may have replaced this one meanwhile.
      if (config !== present) return;
      reading = next;
      lastProblem = "";
      log.info(facts(), "secrets reloaded");
    } catch (error) {
      // Logged once, for any number of jobs while the file is invalid.
      const problem = errorText(error);
      if (problem !== lastProblem) log.error({ problem }, "secrets could not be reloaded: the old ones stay");
      lastProblem = problem;
    }
  };
  const decide = (request: JobRequest) => secretsOfJob(reading.secrets, request);
  return {
    current: () => reading.secrets,
    decide,
    async refreshAndDecide(request) {
      if (request.secrets.length === 0) return decide(request);
      refreshing ??= refresh().finally(() => {
        refreshing = null;
      });
      await refreshing;
      return decide(request);
    },
    replace(next) {
      config = next;
      reading = next?.initial ?? noSecrets;
      lastProblem = "";
    },
  };
}

const noSecrets: SecretsReading = { secrets: new Map(), versions: new Map() };
