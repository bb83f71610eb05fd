import { homedir } from "node:os";
import { join } from "node:path";
import { CredentialsError } from "./s3-errors.ts";
import {
  type Environment,
  type Found,
  fromContainer,
  fromMachine,
  readIfThere,
  type S3Credentials,
} from "./s3-roles.ts";

/** Returns credentials that are valid now. Throws {@link CredentialsError}. */
export type CredentialSource = () => Promise<S3Credentials>;

/** Time after which a file is read again, so that a rotated key is used without a restart. In ms. */
const fileAgeMs = 60_000;

/**
 * Finds credentials in the order of AWS' own tools: AWS_ACCESS_KEY_ID, the files in `~/.aws` (AWS_PROFILE), the role of
 * a container, the role of an EC2 machine.
 */
export function awsCredentials(environment: Environment): CredentialSource {
  let found: Found | null = null;
  return async () => {
    if (found === null || Date.now() >= found.until) found = await find(environment);
    return found.credentials;
  };
}

async function find(environment: Environment): Promise<Found> {
  for (const source of [fromEnvironment, fromFiles, fromContainer, fromMachine]) {
    const found = await source(environment);
    if (found !== null) return found;
  }
  throw new CredentialsError("no credentials: AWS_ACCESS_KEY_ID is not set, and ~/.aws has none");
}

function fromEnvironment(environment: Environment): Found | null {
  const credentials = credentialsOf({
    id: environment.AWS_ACCESS_KEY_ID,
    secret: environment.AWS_SECRET_ACCESS_KEY,
    token: environment.AWS_SESSION_TOKEN,
  });
  return credentials && { credentials, until: Number.POSITIVE_INFINITY };
}

async function fromFiles(environment: Environment): Promise<Found | null> {
  const directory = join(environment.HOME ?? homedir(), ".aws");
  const profile = environment.AWS_PROFILE ?? "default";
  const places = [
    [environment.AWS_SHARED_CREDENTIALS_FILE ?? join(directory, "credentials"), profile],
    [
      environment.AWS_CONFIG_FILE ?? join(directory, "config"),
      profile === "default" ? profile : `profile ${profile}`,
    ],
  ] as const;
  for (const [path, section] of places) {
    const values = readSection(await readIfThere(path), section);
    const credentials = credentialsOf({
      id: values.get("aws_access_key_id"),
      secret: values.get("aws_secret_access_key"),
      token: values.get("aws_session_token"),
    });
    if (credentials) return { credentials, until: Date.now() + fileAgeMs };
  }
  return null;
}

function credentialsOf(parts: {
  id: string | undefined;
  secret: string | undefined;
  token: string | undefined;
}): S3Credentials | null {
  if (!parts.id || !parts.secret) return null;
  const { id: accessKeyId, secret: secretAccessKey, token: sessionToken } = parts;
  return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
}

/** Returns the values below `[name]`. */
function readSection(text: string, name: string): Map<string, string> {
  const values = new Map<string, string>();
  let isInside = false;
  for (const line of text.split("\n").map((raw) => raw.trim())) {
    const section = /^\[\s*(.+?)\s*\]/.exec(line)?.[1];
    if (section !== undefined) isInside = section.replace(/\s+/g, " ") === name;
    const [, key, value] = /^([a-z_]+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (isInside && key !== undefined && value !== undefined) values.set(key, value);
  }
  return values;
}
