import { SolsticeError } from "../../core/errors.ts";
import { type BrokerLog, brokerLimits } from "../broker.ts";
import { toBrokerError } from "./broker-errors.ts";
import { type BrokerConnection, openConnection } from "./connection.ts";

/** Where a command connects to, for one piece of work. */
export interface OneConnectionOptions {
  readonly url: string;
  /** Shown in RabbitMQ's management. */
  readonly name: string;
  /** For the farewell at the end; the work bounds itself. Ten seconds unless given. */
  readonly timeoutMs?: number;
}

/** A command that connects once has no use for a log: every trouble is in the error. */
const silent: BrokerLog = { info: () => undefined, warn: () => undefined, error: () => undefined };

/**
 * Connects for one piece of work, and ends with the first trouble instead of trying again. Throws `broker_unavailable` for
 * what the client library threw; errors of ours pass.
 */
export async function withConnection<Value>(
  { url, name, timeoutMs = brokerLimits.confirmTimeoutMs }: OneConnectionOptions,
  work: (connection: BrokerConnection) => Promise<Value>,
): Promise<Value> {
  const lost = Promise.withResolvers<never>();
  const onLost = (error: Error) => lost.reject(error);
  const connection = openConnection({ url, name, log: silent, onLost });
  let closeTimeoutMs = timeoutMs;
  try {
    return await Promise.race([work(connection), lost.promise]);
  } catch (error) {
    // Who did not answer the work will not answer a farewell.
    closeTimeoutMs = 0;
    throw withStatus(toBrokerError(error, url), connection.status().message);
  } finally {
    await connection.close(closeTimeoutMs);
  }
}

/** An answer that came too late says nothing itself: how it stood with the connection says why. */
function withStatus(error: SolsticeError, status: string): SolsticeError {
  const isLate =
    error.code === "broker_unavailable" && error.cause === undefined && error.remedy === undefined;
  if (!isLate) return error;
  return new SolsticeError("broker_unavailable", `${error.message} ${status}`, {
    remedy: "Look at RabbitMQ's own log and alarms (rabbitmq-diagnostics alarms), then try again.",
  });
}
