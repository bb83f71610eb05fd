import type { SecretSet } from "../../core/secrets/secret.ts";

/** Where secrets come from. */
export interface SecretsSource {
  /** The secrets file. */
  readonly path: string;
  /** What the file's `environment` keys refer to. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Secrets as read, and what tells whether any of their files has changed since. */
export interface SecretsReading {
  readonly secrets: SecretSet;
  readonly versions: ReadonlyMap<string, string>;
}

/** Where secrets come from, and what they were at the start. */
export interface SecretsConfig {
  readonly source: SecretsSource;
  readonly initial: SecretsReading;
}
