import { setTimeout as sleep } from "node:timers/promises";
import type { Channel } from "rabbitmq-client";
import { backoffMs } from "../../core/backoff.ts";
import type { Log } from "../../core/log.ts";
import type { BrokerLimits, Intake } from "../broker.ts";
import { bounded } from "../connection/bounded.ts";
import { toBrokerError } from "../connection/broker-errors.ts";
import type { BrokerConnection } from "../connection/connection.ts";
import { type ConsumerSession, openConsumerSession, type SessionOptions } from "./consumer-session.ts";

/** Options of {@link startIntake}. */
export interface IntakeOptions
  extends Pick<SessionOptions, "queue" | "prefetch" | "settle" | "answerTimeoutMs"> {
  readonly connection: BrokerConnection;
  /** Declares the topology. */
  readonly prepare: (channel: Channel) => Promise<void>;
  readonly limits: BrokerLimits;
  readonly log: Log;
  /** Receives the reason why consuming fails now; null when consuming works. */
  readonly onTrouble: (message: string | null) => void;
}

/** Starts the intake: a loop that consumes until the session ends, for any reason, then again. */
export function startIntake(options: IntakeOptions): Intake {
  const loop = new IntakeLoop(options);
  void loop.run();
  return {
    pause: () => loop.pause(),
    resume: () => loop.resume(),
    async close() {
      const { closeTimeoutMs: milliseconds } = options.limits;
      await bounded(loop.stop(), { milliseconds, what: "Settling the in-flight deliveries" }).catch(
        (error) => {
          options.log.warn({ err: error }, "deliveries not settled in time; they go back to the queue");
        },
      );
    },
  };
}

class IntakeLoop {
  readonly #options: IntakeOptions;
  #mode: "take" | "pause" | "stop" = "take";
  #session: ConsumerSession | null = null;
  /**
   * The end of the previous session, which the next session waits for, so that at most `prefetch` deliveries are in
   * flight.
   */
  #finishing: Promise<void> = Promise.resolve();
  /** Aborted and replaced with each change of the mode. */
  #changed = new AbortController();

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { firstRetryMs, longestRetryMs } = this.#options.limits;
    const backoff = { firstMs: firstRetryMs, maxMs: longestRetryMs };
    let failures = 0;
    while (this.#mode !== "stop") {
      if (this.#mode === "pause") await this.#wait(null);
      else if (await this.#consume()) failures = 0;
      else {
        failures += 1;
        await this.#wait(backoffMs(failures, backoff));
        // Without a connection, opening the channel has already waited for the reconnection.
        const { connected } = this.#options.connection.status();
        if (!connected) failures = 0;
      }
    }
  }

  pause(): Promise<void> {
    return this.#change("pause");
  }

  resume(): void {
    if (this.#mode === "pause") void this.#change("take");
  }

  stop(): Promise<void> {
    return this.#change("stop");
  }

  #change(requested: "take" | "pause" | "stop"): Promise<void> {
    if (this.#mode !== "stop") this.#mode = requested;
    this.#changed.abort();
    this.#changed = new AbortController();
    if (this.#mode !== "take") this.#finish();
    return this.#finishing;
  }

  #finish(): void {
    if (this.#session) this.#finishing = this.#session.finish();
    this.#session = null;
  }

  /** Runs one session until its end. Returns false when no session could be opened. */
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
    // The mode may have changed while the session was being opened.
    if (this.#mode !== "take") this.#finish();
    await ended;
    this.#finish();
    return true;
  }

  #report(error: unknown): void {
    const { connection, log, onTrouble } = this.#options;
    const brokerError = toBrokerError(error, connection.url);
    onTrouble(`${brokerError.message} ${brokerError.remedy ?? ""}`.trim());
    // A missing connection has already been logged.
    if (connection.status().connected) {
      log.error({ err: brokerError }, "consuming from RabbitMQ failed; retrying");
    }
  }

  async #wait(milliseconds: number | null): Promise<void> {
    const { signal } = this.#changed;
    const forever = 2 ** 31 - 1;
    await sleep(milliseconds ?? forever, undefined, { signal }).catch(() => undefined);
  }
}

/** Opens a session within the time limit: the client library can wait for ever on a connection that breaks meanwhile. */
async function openSessionInTime(options: IntakeOptions): Promise<ConsumerSession> {
  const opening = openSession(options);
  try {
    return await bounded(opening, {
      milliseconds: options.answerTimeoutMs,
      what: `Starting a consumer of the queue ${options.queue}`,
    });
  } catch (error) {
    // A session that opens after the time limit has no user: close it.
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
