import { setTimeout as sleep } from "node:timers/promises";
import type { Channel } from "rabbitmq-client";
import type { BrokerLimits, BrokerLog, Intake } from "../broker.ts";
import { bounded } from "../connection/bounded.ts";
import { toBrokerError } from "../connection/broker-errors.ts";
import type { BrokerConnection } from "../connection/connection.ts";
import { type ConsumerSession, openConsumerSession, type SessionOptions } from "./consumer-session.ts";

/** What the loop needs. */
export interface IntakeOptions
  extends Pick<SessionOptions, "queue" | "prefetch" | "settle" | "answerTimeoutMs"> {
  readonly connection: BrokerConnection;
  /** Declares the topology. */
  readonly prepare: (channel: Channel) => Promise<void>;
  readonly limits: BrokerLimits;
  readonly log: BrokerLog;
  /** Told why consuming does not work now; null: it works. */
  readonly onTrouble: (message: string | null) => void;
}

/** Loops for ever: consume until that ends, whatever ended it, then again. */
export function startIntake(options: IntakeOptions): Intake {
  const loop = new IntakeLoop(options);
  void loop.run();
  return {
    pause: () => loop.pause(),
    resume: () => loop.resume(),
    async close() {
      const { closeTimeoutMs: milliseconds } = options.limits;
      await bounded(loop.stop(), { milliseconds, what: "The end of the deliveries at hand" }).catch(
        (error) => {
          options.log.warn(
            { err: error },
            "deliveries were not dealt with in time; they go back to the queue",
          );
        },
      );
    },
  };
}

class IntakeLoop {
  readonly #options: IntakeOptions;
  #wish: "take" | "pause" | "stop" = "take";
  #session: ConsumerSession | null = null;
  /** The end of the session before, which the next one waits for: so at most `prefetch` deliveries are at hand. */
  #finishing: Promise<void> = Promise.resolve();
  /** Aborted, and made again, with each change of the wish. */
  #changed = new AbortController();

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { firstRetryMs, longestRetryMs } = this.#options.limits;
    let retryMs = firstRetryMs;
    while (this.#wish !== "stop") {
      if (this.#wish === "pause") await this.#wait(null);
      else if (await this.#consume()) retryMs = firstRetryMs;
      else {
        await this.#wait(retryMs);
        // Without a connection, opening a channel has waited for one already.
        const { connected } = this.#options.connection.status();
        retryMs = connected ? Math.min(retryMs * 2, longestRetryMs) : firstRetryMs;
      }
    }
  }

  pause(): Promise<void> {
    return this.#change("pause");
  }

  resume(): void {
    if (this.#wish === "pause") void this.#change("take");
  }

  stop(): Promise<void> {
    return this.#change("stop");
  }

  #change(requested: "take" | "pause" | "stop"): Promise<void> {
    if (this.#wish !== "stop") this.#wish = requested;
    this.#changed.abort();
    this.#changed = new AbortController();
    if (this.#wish !== "take") this.#finish();
    return this.#finishing;
  }

  #finish(): void {
    if (this.#session) this.#finishing = this.#session.finish();
    this.#session = null;
  }

  /** One session until its end. False when none could be had. */
  async #consume(): Promise<boolean> {
    try {
      await this.#finishing;
      this.#session = await openSessionInTime(this.#options);
    } catch (error) {
      this.#report(error);
      return false;
    }
    this.#options.onTrouble(null);
    const { ended } = this.#session;
    // The wish may have changed while the session was being opened.
    if (this.#wish !== "take") this.#finish();
    await ended;
    this.#finish();
    return true;
  }

  #report(error: unknown): void {
    const { connection, log, onTrouble } = this.#options;
    const known = toBrokerError(error, connection.url);
    onTrouble(`${known.message} ${known.remedy ?? ""}`.trim());
    // While there is no connection, that has been logged already.
    if (connection.status().connected) {
      log.error({ err: known }, "jobs cannot be taken from RabbitMQ; it is tried again");
    }
  }

  async #wait(milliseconds: number | null): Promise<void> {
    const { signal } = this.#changed;
    const forever = 2 ** 31 - 1;
    await sleep(milliseconds ?? forever, undefined, { signal }).catch(() => undefined);
  }
}

/** The client library can wait for ever for an answer on a connection that broke in the same moment. */
async function openSessionInTime(options: IntakeOptions): Promise<ConsumerSession> {
  const opening = openSession(options);
  try {
    return await bounded(opening, {
      milliseconds: options.answerTimeoutMs,
      what: `RabbitMQ's consumer of the queue ${options.queue}`,
    });
  } catch (error) {
    // Should it come late after all, nobody would look after it.
    void opening.then((late) => late.finish()).catch(() => undefined);
    throw error;
  }
}

async function openSession(options: IntakeOptions): Promise<ConsumerSession> {
  const channel = await options.connection.openChannel();
  try {
    await options.prepare(channel);
    return await openConsumerSession({ ...options, channel });
  } catch (error) {
    void channel.close();
    throw error;
  }
}
