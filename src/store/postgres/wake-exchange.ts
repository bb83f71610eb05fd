import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "pg";
import { backoffMs } from "../../core/backoff.ts";
import { errorText } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Wake, WakeExchange } from "../store.ts";
import { packLines, unpackWakes, wakeLine } from "./wake-payload.ts";

/** The channel's name, within the database. */
const channel = "solstice_wakes";

/** The least time between two notifications, in ms. What comes meanwhile is sent together, each wake once. */
const paceMs = 2;

/** How often a quiet connection is tried, in ms: it would not notice that the other side is gone. */
const heartbeatMs = 10_000;

/** The pauses between tries to connect again, in ms. */
const backoff = { firstMs: 100, maxMs: 1_000 };

/** How long a goodbye may take, in ms: a network that swallows packets would never let it arrive. */
const goodbyeMs = 2_000;

/** Wakes that wait to be sent at most, as during an outage; more become one `all`. */
const maxWaiting = 5_000;

/** What the exchange needs from outside. */
export interface WakeExchangeOptions {
  /** Gives a new connection, or rejects. */
  connect(): Promise<Client>;
  /** Gets the wakes of other processes, and `all` when some may have been missed. */
  deliver(wake: Wake): void;
  readonly log: Log;
}

/**
 * Wakes by LISTEN and NOTIFY, over one connection of its own.
 *
 * They are sent after the commit and not within the transaction: PostgreSQL lets transactions that notify commit only one
 * after the other, flush included, in the whole server. Here no commit waits. A process that dies in between leaves a
 * change unannounced, which slow polls find.
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

  /** From when this resolves until `close`, wakes come and go, whatever happens to the connection meanwhile. */
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
      // The words will do: the stack of a lost connection is the driver's.
      const problem = errorText(error);
      log.warn({ problem }, "other hosts' wakes do not arrive: the connection to the database is lost");
      client = await this.#listenAgain();
      if (client === null) return;
      log.info({}, "other hosts' wakes arrive again");
      deliver({ kind: "all" });
    }
  }

  async #listen(): Promise<Client> {
    const client = await this.#options.connect();
    const look = () => this.#resume();
    client.on("error", look).on("end", look);
    try {
      const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
      client.on("notification", ({ processId, payload }) => {
        // This process was told directly, before it sent this.
        if (processId !== rows[0]?.pid) unpackWakes(payload ?? "").forEach(this.#options.deliver);
      });
      await client.query(`listen ${channel}`);
      return client;
    } catch (error) {
      await endClient(client);
      throw error;
    }
  }

  /** Tries until it listens; null once it is closed. */
  async #listenAgain(): Promise<Client | null> {
    const { signal } = this.#closing;
    for (let tries = 1; !signal.aborted; tries += 1) {
      await delay(backoffMs(tries, backoff), undefined, { signal }).catch(() => {});
      try {
        if (!signal.aborted) return await this.#listen();
      } catch {
        // The next try tells; how long it has been away was logged when it went.
      }
    }
    return null;
  }

  /** Sends until the connection is lost, which it returns the error of, or until it is closed: null. */
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

  /** Resolves when there is something to send, to close or to look at, and else for the next heartbeat. */
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
  await Promise.race([client.end().catch(() => {}), delay(goodbyeMs, undefined, { ref: false })]);
}
