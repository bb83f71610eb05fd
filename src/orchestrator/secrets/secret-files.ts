import { haveSecretsChanged, loadSecrets } from "../../config/secrets/load-secrets.ts";
import type { SecretsConfig, SecretsReading } from "../../config/secrets/secrets-config.ts";
import { errorText } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { SecretSet } from "../../core/secrets/secret.ts";

/** The operator's secrets as they are now. In memory only. */
export interface SecretFiles {
  current(): SecretSet;
  /**
   * Looks whether the files have changed, and reads them again. A file that is wrong changes nothing: what was read before
   * stays, and the log says why. Never rejects.
   */
  refresh(): Promise<void>;
  /** Takes over what was read of another configuration; null: there are no secrets any more. */
  replace(config: SecretsConfig | null): void;
}

/** Makes the book; without a secrets file it stays empty. */
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
  return {
    current: () => reading.secrets,
    refresh() {
      refreshing ??= refresh().finally(() => {
        refreshing = null;
      });
      return refreshing;
    },
    replace(next) {
      config = next;
      reading = next?.initial ?? noSecrets;
      lastProblem = "";
    },
  };
}

const noSecrets: SecretsReading = { secrets: new Map(), versions: new Map() };
