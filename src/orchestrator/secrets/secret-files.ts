import { haveSecretsChanged, loadSecrets } from "../../config/secrets/load-secrets.ts";
import type { SecretsConfig, SecretsReading } from "../../config/secrets/secrets-config.ts";
import { errorText } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { JobRequest } from "../../core/request/job-request.ts";
import type { SecretSet } from "../../core/secrets/secret.ts";
import { type JobSecrets, secretsOfJob } from "../../core/secrets/secrets-of-job.ts";

/** The operator's secrets as they are now. In memory only. */
export interface SecretFiles {
  current(): SecretSet;
  /** Which of them a job gets, and what is masked in its logs. */
  decide(request: JobRequest): JobSecrets;
  /**
   * {@link decide} for a job that may have come with a change of the files: where it names a secret, files that have changed are
   * read again first. A file that is wrong changes nothing: what was read before stays, and the log says why. Never rejects.
   */
  refreshAndDecide(request: JobRequest): Promise<JobSecrets>;
  /** Takes over what was read of another configuration; null: there are no secrets any more. */
  replace(config: SecretsConfig | null): void;
}

/** Reads the operator's secrets file; without one there are no secrets. */
export function createSecretFiles(initial: SecretsConfig | null, log: Log): SecretFiles {
  let config = initial;
  let reading = initial?.initial ?? noSecrets;
  let refreshing: Promise<void> | null = null;
  let lastProblem = "";
  const facts = () => ({ file: config?.source.path, names: [...reading.secrets.keys()] });
  if (config !== null) log.info(facts(), "secrets are known by these names");

  const refresh = async () => {
    const present = config;
    if (present === null || !(await haveSecretsChanged(reading.versions))) return;
    try {
      const next = await loadSecrets(present.source);
      // Another configuration may have come meanwhile.
      if (config !== present) return;
      reading = next;
      lastProblem = "";
      log.info(facts(), "the secrets were read again");
    } catch (error) {
      // Said once, however many jobs come while it is wrong.
      const problem = errorText(error);
      if (problem !== lastProblem)
        log.error({ problem }, "the secrets cannot be read again: the old ones stay");
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
