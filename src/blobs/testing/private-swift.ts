import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createS3Client } from "../s3-client.ts";
import { awsCredentials } from "../s3-credentials.ts";

/** Reason why Swift cannot be started here, or false. */
export const swiftMissing = existsSync("/usr/lib/python3/dist-packages/swift")
  ? false
  : "python3-swift is not installed";

/** Credentials that sign a client's requests. */
export const swiftCredentials = { AWS_ACCESS_KEY_ID: "test:tester", AWS_SECRET_ACCESS_KEY: "testing" };

const script = fileURLToPath(new URL("swift_server.py", import.meta.url));

/** A private S3-compatible server for one test: OpenStack Swift, on loopback and a port of the kernel's choice. */
export class PrivateSwift {
  readonly #directory: string;
  #child: ChildProcess | null = null;
  #port = 0;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async start(): Promise<PrivateSwift> {
    const server = new PrivateSwift(await mkdtemp(join(tmpdir(), "solstice-swift-")));
    await server.restart();
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts the server again on the same port, with the stored objects. */
  async restart(): Promise<void> {
    const child = spawn("/usr/bin/python3", [script, this.#directory, String(this.#port)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child = child;
    const gone = once(child, "exit").then(() =>
      Promise.reject(new Error("Swift exited before it listened.")),
    );
    const [line] = (await Promise.race([once(child.stdout, "data"), gone])) as [Buffer];
    gone.catch(() => {});
    this.#port = Number(line.toString().trim());
  }

  /** Kills the server at any point of its work. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  async createBucket(name: string): Promise<void> {
    const place = { bucket: name, endpoint: this.endpoint, region: "us-east-1" };
    const client = createS3Client(place, awsCredentials(swiftCredentials));
    await client.send({ method: "PUT" }, (answer) => answer.body.dump());
    client.close();
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
