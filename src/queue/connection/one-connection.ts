import { SolsticeError } from "../../core/errors.ts";
import { silentLog } from "../../core/log.ts";
import { brokerLimits } from "../broker.ts";
import { toBrokerError } from "./broker-errors.ts";
import { type BrokerConnection, openConnection } from "./connection.ts";

/** Options of {@link withConnection}. */
export interface OneConnectionOptions {
  readonly url: string;
  /** Name of the connection in RabbitMQ's management page. */
  readonly name: string;
  /** Time limit for closing the connection; the work has its own limits. Ten seconds by default. */
  readonly timeoutMs?: number;
}

/**
 * Connects for one piece of work, and rejects at the first failure instead of retrying. Converts errors of the client
 * library into `broker_unavailable`; a SolsticeError passes unchanged.
 */
export async function withConnection<Value>(
  { url, name, timeoutMs = brokerLimits.confirmTimeoutMs }: OneConnectionOptions,
  work: (connection: BrokerConnection) => Promise<Value>,
): Promise<Value> {
  const lost = Promise.withResolvers<never>();
  const onLost = (error: Error) => lost.reject(error);
  const connection = openConnection({ url, name, log: silentLog, onLost });
  let closeTimeoutMs = timeoutMs;
  try {
    return await Promise.race([work(connection), lost.promise]);
  } catch (error) {
    // The peer is not responding: close without waiting.
    closeTimeoutMs = 0;
    throw withStatus(toBrokerError(error, url), connection.status().message);
  } finally {
    await connection.close(closeTimeoutMs);
  }
}

/** Adds the connection's status to a timeout error, because a timeout alone does not name the cause. */
function withStatus(error: SolsticeError, status: string): SolsticeError {
  const isLate =
    error.code === "broker_unavailable" && error.cause === undefined && error.remedy === undefined;
  if (!isLate) return error;
  return new SolsticeError("broker_unavailable", `${error.message} ${status}`, {
    remedy: "Check RabbitMQ's own log and alarms (rabbitmq-diagnostics alarms), then try again.",
  });
}
