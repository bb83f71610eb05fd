import { z } from "zod";
import { refPatternProblem, secretNameProblem } from "../../core/secrets/policy.ts";
import { repositoryPatternProblem } from "../../core/secrets/repository-name.ts";

/** Named limits of a secrets file. */
export const secretsLimits = {
  fileBytes: 512 * 1024,
  secrets: 500,
  patterns: 500,
  patternChars: 500,
  valueBytes: 32 * 1024,
  /** Total size of all values. The bytes that logs are searched for are several times as many, and are kept in memory. */
  totalBytes: 128 * 1024,
} as const;

/** A text for which `problemOf` returns null. Messages do not repeat the text. */
function checked(error: string, problemOf: (text: string) => string | null) {
  return z
    .string({ error })
    .max(secretsLimits.patternChars, { error, abort: true })
    .check((context) => {
      const message = problemOf(context.value);
      if (message !== null) context.issues.push({ code: "custom", input: context.value, message });
    });
}

function list<Item extends z.ZodType>(item: Item, what: string) {
  const error = `a list of 1 to ${secretsLimits.patterns} ${what}`;
  return z.array(item, { error }).min(1, { error }).max(secretsLimits.patterns, { error });
}

const nameError = "a name like DEPLOY_TOKEN";
const repository = checked("a repository such as github.com/acme/app", repositoryPatternProblem);
const ref = checked("a ref such as refs/heads/main", refPatternProblem);
const refsError = "a list of full refs such as refs/heads/main, or the word any";
const pathError = "an absolute path";
const variableError = "the name of an environment variable of the orchestrator";

const checkoutSchema = z.union(
  [
    z.strictObject({
      username: z.string().regex(/^[A-Za-z0-9._@+-]{1,100}$/),
    }),
    z.literal("ssh_key"),
  ],
  {
    error: "a mapping with username (the value is then the password or token for https), or the word ssh_key",
  },
);

const secretSchema = z.strictObject(
  {
    value: z.string({ error: "a text, in quotes if YAML would read another type" }).optional(),
    file: z
      .string({ error: pathError })
      .regex(/^\/\P{Cc}*$/u, { error: pathError })
      .max(4096, { error: pathError })
      .optional(),
    environment: z
      .string({ error: variableError })
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,199}$/, { error: variableError })
      .optional(),
    repositories: list(
      repository,
      "repositories such as github.com/acme/app or github.com/acme/*",
    ).optional(),
    refs: z
      .union([z.literal("any"), list(ref, "refs such as refs/heads/main")], { error: refsError })
      .optional(),
    without_repository: z.boolean({ error: "true or false" }).optional(),
    checkout: checkoutSchema.optional(),
  },
  { error: "a mapping with the secret's keys: value, file or environment, then repositories and refs" },
);

/** The file's shape. Rules between keys are checked separately, so that both kinds of problems are reported at once. */
export const secretsSchema = z.strictObject(
  {
    secrets: z
      .record(checked(nameError, secretNameProblem), secretSchema, {
        error: "a mapping from names to secrets",
      })
      .refine((entries) => Object.keys(entries).length <= secretsLimits.secrets, {
        error: `at most ${secretsLimits.secrets} secrets`,
      }),
  },
  { error: "a mapping with the key secrets" },
);

/** A secrets file with a valid shape. */
export type SecretsFile = z.output<typeof secretsSchema>;

/** One secret of {@link SecretsFile}. */
export type SecretEntry = z.output<typeof secretSchema>;

const secretKeys = Object.keys(secretSchema.shape);

/** The valid keys at a place of the file. */
export function knownSecretKeysAt(path: readonly PropertyKey[]): readonly string[] {
  if (path.length === 0) return ["secrets"];
  return path.at(-1) === "checkout" ? ["username"] : secretKeys;
}
