import type { SecretSet } from "../../core/secrets/secret.ts";

/** The source of secrets. */
export interface SecretsSource {
  /** The secrets file. */
  readonly path: string;
  /** The environment that the file's `environment` keys refer to. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Secrets, and the versions of their files at the time of reading, by path. */
export interface SecretsReading {
  readonly secrets: SecretSet;
  readonly versions: ReadonlyMap<string, string>;
}

/** The source of secrets, and the secrets at the start. */
export interface SecretsConfig {
  readonly source: SecretsSource;
  readonly initial: SecretsReading;
}
