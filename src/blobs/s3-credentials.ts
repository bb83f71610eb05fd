import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { request } from "undici";
import { z } from "zod";
import { hasErrorCode } from "../host/error-code.ts";
import { CredentialsError } from "./s3-errors.ts";

/** What a request is signed with. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of credentials that were given for a time. */
  readonly sessionToken?: string;
}

/** Gives credentials that are valid now. Throws {@link CredentialsError}. */
export type CredentialSource = () => Promise<S3Credentials>;

/** The names and values of a process' environment. */
type Environment = Readonly<Record<string, string | undefined>>;

interface Found {
  readonly credentials: S3Credentials;
  /** When to ask again, ms since the epoch. */
  readonly until: number;
}

/** A file is read again after this time, so that a rotated key is found without a restart. In ms. */
const fileAgeMs = 60_000;

/** Temporary credentials are renewed before they end, in ms. */
const renewBeforeMs = 5 * 60_000;

/** The longest silence of the servers that give roles, in ms; both are on this machine or next to it. */
const roleTimeoutMs = 2_000;

/**
 * Looks where AWS' own tools look first: AWS_ACCESS_KEY_ID, the files in `~/.aws` (AWS_PROFILE), the role of a container,
 * the role of an EC2 machine.
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

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (hasErrorCode(error, "ENOENT", "ENOTDIR")) return "";
    throw new CredentialsError(`${path} cannot be read`);
  }
}

/** The values below `[name]`. */
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

const roleShape = z.object({
  AccessKeyId: z.string(),
  SecretAccessKey: z.string(),
  Token: z.string(),
  Expiration: z.iso.datetime({ offset: true }),
});

async function fromContainer(environment: Environment): Promise<Found | null> {
  const { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: path, AWS_CONTAINER_CREDENTIALS_FULL_URI: full } =
    environment;
  const url = path ? `http://169.254.170.2${path}` : full;
  if (!url) return null;
  const file = environment.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE;
  const authorization = file
    ? (await readIfThere(file)).trim()
    : environment.AWS_CONTAINER_AUTHORIZATION_TOKEN;
  return readRole(await call(url, { headers: { ...(authorization && { authorization }) } }));
}

async function fromMachine(environment: Environment): Promise<Found | null> {
  if (environment.AWS_EC2_METADATA_DISABLED === "true") return null;
  const endpoint = environment.AWS_EC2_METADATA_SERVICE_ENDPOINT ?? "http://169.254.169.254";
  const base = `${endpoint.replace(/\/$/, "")}/latest`;
  const lifetime = { "x-aws-ec2-metadata-token-ttl-seconds": "21600" };
  // Where this is no EC2 machine, that address does not answer, or answers something else.
  const token = await call(`${base}/api/token`, { method: "PUT", headers: lifetime }).catch(() => null);
  if (token === null) return null;
  const headers = { "x-aws-ec2-metadata-token": token };
  const roles = `${base}/meta-data/iam/security-credentials/`;
  const role = (await call(roles, { headers })).split("\n")[0]?.trim();
  return readRole(await call(`${roles}${role}`, { headers }));
}

async function call(
  url: string,
  options: { method?: "PUT"; headers: Record<string, string> },
): Promise<string> {
  const patience = { headersTimeout: roleTimeoutMs, bodyTimeout: roleTimeoutMs };
  const signal = AbortSignal.timeout(roleTimeoutMs);
  try {
    const { statusCode, body } = await request(url, { ...options, ...patience, signal });
    const text = await body.text();
    if (statusCode === 200) return text;
    throw new CredentialsError(`${url} answers HTTP ${statusCode} instead of credentials`);
  } catch (error) {
    if (error instanceof CredentialsError) throw error;
    throw new CredentialsError(`${url} does not answer with credentials`);
  }
}

function readRole(text: string): Found {
  const parsed = roleShape.safeParse(jsonOf(text));
  if (!parsed.success) throw new CredentialsError("the answer about the role's credentials cannot be read");
  const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, Token, Expiration } = parsed.data;
  const credentials = { accessKeyId, secretAccessKey, sessionToken: Token };
  return { credentials, until: Date.parse(Expiration) - renewBeforeMs };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
