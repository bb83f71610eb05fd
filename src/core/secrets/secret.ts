import type { SecretPolicy } from "./policy.ts";
import type { SecretValue } from "./secret-value.ts";

/** Use of a secret by git during the checkout of a job's commit. */
export type CheckoutUse =
  /** As the password (or token) of this user, over https. */
  | { readonly kind: "password"; readonly username: string }
  /** As the private key, over ssh. */
  | { readonly kind: "ssh_key" };

/** One secret of the operator. */
export interface Secret {
  readonly name: string;
  readonly value: SecretValue;
  readonly policy: SecretPolicy;
  /** Null: only for jobs that request it by name. */
  readonly checkout: CheckoutUse | null;
}

/** All secrets of an orchestrator, by name. */
export type SecretSet = ReadonlyMap<string, Secret>;
