import { haveSecretsChanged, loadSecrets } from "../../config/load-secrets.ts";
import type { SecretsConfig } from "../../config/secrets-config.ts";
import { errorText } from "../../core/errors.ts";
import type { SecretSet } from "../../core/secrets/secret.ts";
import type { Log } from "../log.ts";

/** The operator's secrets as they are now. In memory only. */
export interface SecretBook {
  current(): SecretSet;
  /**
   * Looks whether the files have changed, and reads them again. A file that is wrong changes nothing: what was read before
   * stays, and the log says why. Never rejects.
   */
  refresh(): Promise<void>;
}

/** Makes the book; without a secrets file it stays empty. */
export function createSecretBook(config: SecretsConfig | null, log: Log): SecretBook {
  if (config === null) return { current: () => new Map(), refresh: async () => undefined };
  let reading = config.initial;
  let refreshing: Promise<void> | null = null;
  let lastProblem = "";
  const names = () => [...reading.secrets.keys()];
  log.info({ file: config.source.path, names: names() }, "secrets are known by these names");

  const refresh = async () => {
    if (!(await haveSecretsChanged(reading.versions))) return;
    try {
      reading = await loadSecrets(config.source);
      lastProblem = "";
      log.info({ file: config.source.path, names: names() }, "the secrets were read again");
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
  };
}
