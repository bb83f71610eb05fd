import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { awsCredentials } from "./s3-credentials.ts";

/** Prevents a test from using the roles of its machine. */
const noMachine = { AWS_EC2_METADATA_DISABLED: "true" };

function makeHome(context: TestContext, files: Record<string, string>): string {
  const home = mkdtempSync(join(tmpdir(), "solstice-aws-"));
  context.after(() => rmSync(home, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text);
  return home;
}

/** Starts a server of roles: `answer` returns the text for a request, or null to refuse it. */
async function serveRoles(context: TestContext, answer: (request: IncomingMessage) => string | null) {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const text = answer(request);
    response.writeHead(text === null ? 403 : 200).end(text ?? "");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

const role = (validMs: number) =>
  JSON.stringify({
    AccessKeyId: "role-id",
    SecretAccessKey: "role-secret",
    Token: "role-token",
    Expiration: new Date(Date.now() + validMs).toISOString(),
  });
const roleCredentials = {
  accessKeyId: "role-id",
  secretAccessKey: "role-secret",
  sessionToken: "role-token",
};

test("the environment precedes the files, and half of a key pair is ignored", async (context) => {
  const home = makeHome(context, {
    keys: "[default]\naws_access_key_id = file-id\naws_secret_access_key=a=b/c\n",
  });
  const files = { ...noMachine, HOME: home, AWS_SHARED_CREDENTIALS_FILE: join(home, "keys") };
  const fromFile = { accessKeyId: "file-id", secretAccessKey: "a=b/c" };
  assert.deepEqual(await awsCredentials(files)(), fromFile);
  assert.deepEqual(await awsCredentials({ ...files, AWS_ACCESS_KEY_ID: "only" })(), fromFile);
  const both = { ...files, AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "s", AWS_SESSION_TOKEN: "t" };
  assert.deepEqual(await awsCredentials(both)(), {
    accessKeyId: "id",
    secretAccessKey: "s",
    sessionToken: "t",
  });
});

test("AWS_PROFILE chooses a section of the credentials or of the configuration", async (context) => {
  const home = makeHome(context, {
    keys: "[other]\naws_access_key_id=no\naws_secret_access_key=no\n",
    config:
      "[profile ci]\naws_access_key_id=id\naws_secret_access_key=s\naws_session_token=t\n[profile x]\naws_access_key_id=no\n",
  });
  const environment = {
    ...noMachine,
    AWS_PROFILE: "ci",
    AWS_SHARED_CREDENTIALS_FILE: join(home, "keys"),
    AWS_CONFIG_FILE: join(home, "config"),
  };
  const expected = { accessKeyId: "id", secretAccessKey: "s", sessionToken: "t" };
  assert.deepEqual(await awsCredentials(environment)(), expected);
  const missing = awsCredentials({ ...environment, AWS_PROFILE: "absent" });
  await assert.rejects(missing(), { name: "CredentialsError" });
});

test("a container's role is requested with its token, and renewed before it expires", async (context) => {
  const home = makeHome(context, { token: "let-me-in\n" });
  let validMs = 60_000;
  const { url, requests } = await serveRoles(context, ({ headers }) =>
    headers.authorization === "let-me-in" ? role(validMs) : null,
  );
  const environment = {
    ...noMachine,
    HOME: home,
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/role`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(home, "token"),
  };
  const credentials = awsCredentials(environment);
  assert.deepEqual(await credentials(), roleCredentials);
  validMs = 3_600_000;
  await credentials();
  assert.equal(requests.length, 2, "credentials that expire in a minute are renewed");
  await credentials();
  assert.equal(requests.length, 2, "credentials that are valid for an hour are kept");
  const refused = awsCredentials({ ...environment, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: undefined });
  await assert.rejects(refused(), { name: "CredentialsError", message: /HTTP 403/ });
});

test("an EC2 machine's role is requested within a session", async (context) => {
  const path = "/latest/meta-data/iam/security-credentials/";
  const { url, requests } = await serveRoles(context, ({ method, url, headers }) => {
    if (method === "PUT") return headers["x-aws-ec2-metadata-token-ttl-seconds"] ? "session" : null;
    if (headers["x-aws-ec2-metadata-token"] !== "session") return null;
    return url === path ? "ci-role\n" : role(3_600_000);
  });
  const home = makeHome(context, {});
  const environment = { HOME: home, AWS_EC2_METADATA_SERVICE_ENDPOINT: url };
  assert.deepEqual(await awsCredentials(environment)(), roleCredentials);
  assert.deepEqual(requests, ["PUT /latest/api/token", `GET ${path}`, `GET ${path}ci-role`]);
  await assert.rejects(awsCredentials({ ...environment, ...noMachine })(), { name: "CredentialsError" });
});
