import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorCode, errorCodes, isSolsticeError, SolsticeError } from "../../core/errors.ts";
import { networkProblem } from "../../core/text/network-problem.ts";
import { shownUrl } from "../../core/text/shown-url.ts";

// The same names as in src/http/errors.ts, which the command line does not import: it talks to the API over the wire.
const errorCodeHeader = "solstice-error-code";
const remedyHeader = "solstice-remedy";

/** What the protocol's own codes mean where the answer carries none of ours: it came from a proxy, or the network. */
const codesOfProtocol: Readonly<Partial<Record<Code, ErrorCode>>> = {
  [Code.InvalidArgument]: "usage",
  [Code.AlreadyExists]: "already_exists",
  [Code.Unauthenticated]: "unauthenticated",
  [Code.PermissionDenied]: "unauthenticated",
  [Code.ResourceExhausted]: "limit_exceeded",
};

const unreachable: readonly Code[] = [Code.Unavailable, Code.DeadlineExceeded, Code.Aborted, Code.Canceled];

/** Converts what a call of the API at `url` threw. The API's own sentence and remedy are kept; a network's failure gets ours. */
export function fromApiError(error: unknown, url: string): SolsticeError {
  if (isSolsticeError(error)) return error;
  const apiUrl = shownUrl(url);
  const connectError = ConnectError.from(error);
  const code = errorCodes.find((known) => known === connectError.metadata.get(errorCodeHeader));
  if (code) return fromHeaders(connectError, code);
  if (isForeignAnswer(connectError)) return notOurApi(connectError, apiUrl);
  const protocolCode = codesOfProtocol[connectError.code];
  if (protocolCode && !isNetworkFailure(connectError)) {
    return new SolsticeError(protocolCode, sentence(connectError.rawMessage), {
      ...(protocolCode === "unauthenticated" && { remedy: tokenRemedy }),
      cause: connectError,
    });
  }
  if (unreachable.includes(connectError.code) || isNetworkFailure(connectError)) {
    return cannotReach(connectError, apiUrl);
  }
  return new SolsticeError("internal", `The API at ${apiUrl} failed: ${sentence(connectError.rawMessage)}`, {
    remedy: "The orchestrator's log says more.",
    cause: connectError,
  });
}

/** True for what {@link fromApiError} says of an address where something else than an orchestrator answers. */
export function isNotOurs({ cause }: SolsticeError): boolean {
  return cause instanceof ConnectError && isForeignAnswer(cause);
}

const tokenRemedy = "Set API_TOKEN as the orchestrator has it.";

function fromHeaders(error: ConnectError, code: ErrorCode): SolsticeError {
  const remedy = decodeRemedy(error.metadata.get(remedyHeader));
  const fallback = code === "unauthenticated" ? tokenRemedy : null;
  const shown = remedy ?? fallback;
  return new SolsticeError(code, error.rawMessage, {
    ...(shown !== null && { remedy: shown }),
    cause: error,
  });
}

function decodeRemedy(header: string | null): string | null {
  try {
    return header === null ? null : decodeURIComponent(header);
  } catch {
    return header;
  }
}

/** An answer that no orchestrator gives to a call of this version: it names each job that is missing with a code of ours. */
function isForeignAnswer({ code, rawMessage, cause }: ConnectError): boolean {
  if (code === Code.Unimplemented || code === Code.NotFound) return true;
  const isOfHttp =
    /^$|^HTTP \d{3}$|^unsupported content type /.test(rawMessage) || cause instanceof SyntaxError;
  return isOfHttp && (code === Code.Unknown || code === Code.Internal);
}

function notOurApi(error: ConnectError, apiUrl: string): SolsticeError {
  return new SolsticeError("unavailable", `What answers at ${apiUrl} is not a Solstice orchestrator.`, {
    remedy:
      "Check --api-url (SOLSTICE_API_URL): it is the API's address alone, such as http://127.0.0.1:7410, without a path.\n" +
      "If it is right, compare the versions: solstice --version on both machines.",
    cause: error,
  });
}

function cannotReach(error: ConnectError, apiUrl: string): SolsticeError {
  const code = systemCode(error);
  const problem = networkProblem(error)?.replace(` (${code})`, "");
  const more = problem === undefined ? "" : ` ${problem}`;
  return new SolsticeError(
    "unavailable",
    `The API at ${apiUrl} cannot be reached (${code ?? error.rawMessage}).${more}`,
    {
      remedy: "Start it with 'solstice orchestrator', or say where it is with --api-url or SOLSTICE_API_URL.",
      cause: error,
    },
  );
}

/** A connection that broke, also in the middle of an answer, which the protocol reports as a malformed message. */
function isNetworkFailure(error: ConnectError): boolean {
  return (
    systemCode(error) !== null || /premature|missing EndStreamResponse|incomplete/i.test(error.rawMessage)
  );
}

function systemCode(error: ConnectError): string | null {
  const cause: unknown = error.cause;
  const code = cause instanceof Error && "code" in cause ? cause.code : null;
  return typeof code === "string" ? code : null;
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
