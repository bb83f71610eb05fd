import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "pg";
import { backoffMs } from "../../core/backoff.ts";
import { errorText } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Wake, WakeExchange } from "../store.ts";
import { packLines, unpackWakes, wakeLine } from "./wake-payload.ts";

/** The channel's name, within the database. */
const channel = "solstice_wakes";

/** The least time between two notifications, in ms. Wakes that arrive meanwhile are sent together, each once. */
const paceMs = 2;

/** Interval between checks of a quiet connection, in ms: otherwise it would not notice that the peer is gone. */
const heartbeatMs = 10_000;

/** The shortest and longest backoff between tries to reconnect, in ms. */
const backoff = { firstMs: 100, maxMs: 1_000 };

/** Time limit for closing a connection, in ms: in a network that drops packets it would never end. */
const closeTimeoutMs = 2_000;

/** Maximum number of wakes that wait to be sent, for example during an outage; more become one `all`. */
const maxWaiting = 5_000;

/** Dependencies of the exchange. */
export interface WakeExchangeOptions {
  /** Returns a new connection, or rejects. */
  connect(): Promise<Client>;
  /** Gets the wakes of other processes, and `all` when some may have been missed. */
  deliver(wake: Wake): void;
  readonly log: Log;
}

/**
 * Wakes by LISTEN and NOTIFY, over one separate connection.
 * They are sent after the commit and not within the transaction: PostgreSQL lets transactions that notify commit only
 * one after the other, flush included, in the whole server. Here no commit waits. A process that dies in between leaves
 * a change unannounced, which slow polls find.
 */
export class PostgresWakeExchange implements WakeExchange {
  readonly #options: WakeExchangeOptions;
  readonly #waiting = new Set<string>();
  readonly #closing = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #resume: () => void = () => {};

  constructor(options: WakeExchangeOptions) {
    this.#options = options;
  }

  /** Resolves when wakes are sent and received; from then until `close`, the exchange reconnects after each loss. */
  async open(): Promise<void> {
    this.#running = this.#run(await this.#listen());
  }

  send(wake: Wake): void {
    if (this.#waiting.size >= maxWaiting) {
      this.#waiting.clear();
      this.#waiting.add(wakeLine({ kind: "all" }));
    }
    this.#waiting.add(wakeLine(wake));
    this.#resume();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#resume();
    await this.#running;
  }

  async #run(first: Client): Promise<void> {
    const { log, deliver } = this.#options;
    for (let client: Client | null = first; client !== null; ) {
      const error = await this.#serve(client);
      await endClient(client);
      if (error === null) return;
      // The message is enough: the stack of a lost connection is the driver's.
      const problem = errorText(error);
      log.warn({ problem }, "connection to the database lost: no wakes from other hosts");
      client = await this.#listenAgain();
      if (client === null) return;
      log.info({}, "connection to the database restored: wakes from other hosts arrive");
      deliver({ kind: "all" });
    }
  }

  async #listen(): Promise<Client> {
    const client = await this.#options.connect();
    const check = () => this.#resume();
    client.on("error", check).on("end", check);
    try {
      const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
      client.on("notification", ({ processId, payload }) => {
        // This process delivered its own wakes directly, before it sent them.
        if (processId !== rows[0]?.pid) unpackWakes(payload ?? "").forEach(this.#options.deliver);
      });
      await client.query(`listen ${channel}`);
      return client;
    } catch (error) {
      await endClient(client);
      throw error;
    }
  }

  /** Retries until the connection listens; null once the exchange is closed. */
  async #listenAgain(): Promise<Client | null> {
    const { signal } = this.#closing;
    for (let tries = 1; !signal.aborted; tries += 1) {
      await delay(backoffMs(tries, backoff), undefined, { signal }).catch(() => {});
      try {
        if (!signal.aborted) return await this.#listen();
      } catch {
        // The next try logs its success; the loss was logged when it happened.
      }
    }
    return null;
  }

  /** Sends until the connection is lost, and returns its error; null when the exchange is closed. */
  async #serve(client: Client): Promise<unknown> {
    try {
      for (;;) {
        if (this.#waiting.size > 0) {
          await this.#sendSome(client);
          await delay(paceMs);
        } else {
          if (this.#closing.signal.aborted) return null;
          await this.#untilNeeded();
          if (this.#waiting.size === 0) await client.query("select 1");
        }
      }
    } catch (error) {
      return error;
    }
  }

  async #sendSome(client: Client): Promise<void> {
    const { payload, count } = packLines(this.#waiting);
    const sent = [...this.#waiting].slice(0, count);
    for (const line of sent) this.#waiting.delete(line);
    try {
      await client.query({ name: "notify", text: "select pg_notify($1, $2)", values: [channel, payload] });
    } catch (error) {
      for (const line of sent) this.#waiting.add(line);
      throw error;
    }
  }

  /** Resolves when there is something to send, to close or to check, otherwise at the next heartbeat. */
  #untilNeeded(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, heartbeatMs);
      this.#resume = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

async function endClient(client: Client): Promise<void> {
  await Promise.race([client.end().catch(() => {}), delay(closeTimeoutMs, undefined, { ref: false })]);
}
