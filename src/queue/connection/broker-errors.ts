import { isSolsticeError, SolsticeError } from "../../core/errors.ts";
import { networkProblem } from "../../core/text/network-problem.ts";

const shownCharsMax = 500;

/** A broker's URL as it may be shown: without password and options. */
export function shownBrokerUrl(url: string): string {
  const { protocol, username, host, pathname } = new URL(url);
  return `${protocol}//${username === "" ? "" : `${username}@`}${host}${pathname === "/" ? "" : pathname}`;
}

/** What went wrong, in the words of the client library, the broker or the system; never with the password. */
export function brokerErrorText(error: unknown, url: string): string {
  return withoutPassword(foreignText(error), url).slice(0, shownCharsMax);
}

/** Converts what the client library threw into `broker_unavailable`. Errors of ours pass. */
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

/** The code that the broker or the system gave, such as `PRECONDITION_FAILED` or `ECONNREFUSED`; null when none. */
export function brokerErrorCode(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}

/** An error for several addresses tried has no text of its own, only a code. */
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
