import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorCode, errorCodes, isSolsticeError, SolsticeError } from "../../core/errors.ts";
import { networkProblem } from "../../core/text/network-problem.ts";
import { shownUrl } from "../../core/text/shown-url.ts";

// The same names as in src/http/errors.ts. The command line does not import that file: it calls the API over the network.
const errorCodeHeader = "solstice-error-code";
const remedyHeader = "solstice-remedy";

/** Our codes for the protocol's codes, for answers without a code of ours: they came from a proxy or the network. */
const codesOfProtocol: Readonly<Partial<Record<Code, ErrorCode>>> = {
  [Code.InvalidArgument]: "usage",
  [Code.AlreadyExists]: "already_exists",
  [Code.Unauthenticated]: "unauthenticated",
  [Code.PermissionDenied]: "unauthenticated",
  [Code.ResourceExhausted]: "limit_exceeded",
};

const unreachable: readonly Code[] = [Code.Unavailable, Code.DeadlineExceeded, Code.Aborted, Code.Canceled];

/** Converts an error from a call of the API at `url`. Keeps the API's message and remedy; network errors get our text. */
export function fromApiError(error: unknown, url: string): SolsticeError {
  if (isSolsticeError(error)) return error;
  const apiUrl = shownUrl(url);
  const connectError = ConnectError.from(error);
  const code = errorCodes.find((each) => each === connectError.metadata.get(errorCodeHeader));
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
    remedy: "See the orchestrator's log for the cause.",
    cause: connectError,
  });
}

/** True for an error of {@link fromApiError} when the server at the address is not an orchestrator. */
export function isNotOurs({ cause }: SolsticeError): boolean {
  return cause instanceof ConnectError && isForeignAnswer(cause);
}

const tokenRemedy = "Set API_TOKEN to the token of the orchestrator.";

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

/** True for an answer that no orchestrator of this version sends: each error of an orchestrator has our error code in its header. */
function isForeignAnswer(error: ConnectError): boolean {
  const { code, cause } = error;
  if (code === Code.Unimplemented || code === Code.NotFound) return true;
  return (
    (code === Code.Unknown || code === Code.Internal) && (isAnswer(error) || cause instanceof SyntaxError)
  );
}

/** True for an error that a server sent: it contains the headers of the answer. The library's own errors contain no headers. */
function isAnswer({ metadata }: ConnectError): boolean {
  return !metadata.keys().next().done;
}

function notOurApi(error: ConnectError, apiUrl: string): SolsticeError {
  return new SolsticeError("unavailable", `The server at ${apiUrl} is not a Solstice orchestrator.`, {
    remedy:
      "Check --api-url (SOLSTICE_API_URL): it is the API's address without a path, such as http://127.0.0.1:7410.\n" +
      "If the address is correct, compare the versions: solstice --version on both machines.",
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
      remedy: "Start it with 'solstice orchestrator', or set its address with --api-url or SOLSTICE_API_URL.",
      cause: error,
    },
  );
}

/**
 * True for a broken connection, also in the middle of an answer: the library then reads an incomplete answer, and throws
 * `InvalidArgument` itself.
 */
function isNetworkFailure(error: ConnectError): boolean {
  return systemCode(error) !== null || (error.code === Code.InvalidArgument && !isAnswer(error));
}

function systemCode(error: ConnectError): string | null {
  const cause: unknown = error.cause;
  const code = cause instanceof Error && "code" in cause ? cause.code : null;
  return typeof code === "string" ? code : null;
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
