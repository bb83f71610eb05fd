import { readFile } from "node:fs/promises";
import { request } from "undici";
import { z } from "zod";
import { hasErrorCode } from "../host/error-code.ts";
import { CredentialsError } from "./s3-errors.ts";

/** Credentials that sign a request. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Only for temporary credentials. */
  readonly sessionToken?: string;
}

/** Names and values of a process' environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Credentials and the time until which they can be used. */
export interface Found {
  readonly credentials: S3Credentials;
  /** Time of the renewal, in ms since the epoch. */
  readonly until: number;
}

/** Time before the expiry at which temporary credentials are renewed, in ms. */
const renewBeforeMs = 5 * 60_000;

/** Timeout for a response of the role servers, in ms; both servers are on this machine or next to it. */
const roleTimeoutMs = 2_000;

const roleShape = z.object({
  AccessKeyId: z.string(),
  SecretAccessKey: z.string(),
  Token: z.string(),
  Expiration: z.iso.datetime({ offset: true }),
});

/** Reads the credentials of a container's role; returns null outside of a container. */
export async function fromContainer(environment: Environment): Promise<Found | null> {
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

/** Reads the credentials of an EC2 machine's role; returns null on any other machine. */
export async function fromMachine(environment: Environment): Promise<Found | null> {
  if (environment.AWS_EC2_METADATA_DISABLED === "true") return null;
  const endpoint = environment.AWS_EC2_METADATA_SERVICE_ENDPOINT ?? "http://169.254.169.254";
  const base = `${endpoint.replace(/\/$/, "")}/latest`;
  const lifetime = { "x-aws-ec2-metadata-token-ttl-seconds": "21600" };
  // Outside EC2, that address does not answer, or serves something else.
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
  const apiRetry = { headersTimeout: roleTimeoutMs, bodyTimeout: roleTimeoutMs };
  const signal = AbortSignal.timeout(roleTimeoutMs);
  try {
    const { statusCode, body } = await request(url, { ...options, ...apiRetry, signal });
    const text = await body.text();
    if (statusCode === 200) return text;
    throw new CredentialsError(`${url} answers HTTP ${statusCode} instead of credentials`);
  } catch (error) {
    if (error instanceof CredentialsError) throw error;
    throw new CredentialsError(`${url} does not return credentials`);
  }
}

function readRole(text: string): Found {
  const parsed = roleShape.safeParse(jsonOf(text));
  if (!parsed.success) throw new CredentialsError("the response with the role's credentials cannot be read");
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

/** Reads the text of a file; empty when the file does not exist. */
export async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (hasErrorCode(error, "ENOENT", "ENOTDIR")) return "";
    throw new CredentialsError(`${path} cannot be read`);
  }
}
