import { isSolsticeError, SolsticeError } from "../../core/errors.ts";
import { networkProblem } from "../../core/text/network-problem.ts";

const shownCharsMax = 500;

/** Returns a broker's URL without password and options, for messages. */
export function shownBrokerUrl(url: string): string {
  const { protocol, username, host, pathname } = new URL(url);
  return `${protocol}//${username === "" ? "" : `${username}@`}${host}${pathname === "/" ? "" : pathname}`;
}

/** Returns the error text of the client library, the broker or the system, without the password. */
export function brokerErrorText(error: unknown, url: string): string {
  return withoutPassword(foreignText(error), url).slice(0, shownCharsMax);
}

/** Converts an error of the client library into `broker_unavailable`. Returns a SolsticeError unchanged. */
export function toBrokerError(error: unknown, url: string): SolsticeError {
  if (isSolsticeError(error)) return error;
  return new SolsticeError(
    "broker_unavailable",
    `RabbitMQ at ${shownBrokerUrl(url)} cannot be used: ${brokerErrorText(error, url)}.`,
    {
      remedy: "Check that it runs, and AMQP_URL (--amqp-url) with its user, password and virtual host.",
      cause: error,
    },
  );
}

/**
 * The code from the broker or the system, such as `PRECONDITION_FAILED` or `ECONNREFUSED`; null when the error has
 * none.
 */
export function brokerErrorCode(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}

/** Returns the error's text; an error for several tried addresses has only a code. */
function foreignText(error: unknown): string {
  const text = networkProblem(error) ?? (error instanceof Error ? error.message : String(error));
  return (text || (brokerErrorCode(error) ?? "unknown error")).replace(/\.$/, "");
}

function withoutPassword(text: string, url: string): string {
  const { password } = new URL(url);
  if (password === "") return text;
  return [password, decodeURIComponent(password)].reduce(
    (shown, secret) => shown.replaceAll(secret, "***"),
    text,
  );
}
