import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorCode, errorCodes, isSolsticeError, SolsticeError } from "../core/errors.ts";
import { networkProblem } from "../core/network-problem.ts";

// The same names as in src/api/errors.ts, which the command line does not import: it talks to the API over the wire.
const errorCodeHeader = "solstice-error-code";
const remedyHeader = "solstice-remedy";

/** What the protocol's own codes mean where the answer carries none of ours: it came from a proxy, or the network. */
const codesOfProtocol: Readonly<Partial<Record<Code, ErrorCode>>> = {
  [Code.InvalidArgument]: "usage",
  [Code.NotFound]: "not_found",
  [Code.AlreadyExists]: "already_exists",
  [Code.Unauthenticated]: "unauthenticated",
  [Code.PermissionDenied]: "unauthenticated",
  [Code.ResourceExhausted]: "limit_exceeded",
};

const unreachable: readonly Code[] = [Code.Unavailable, Code.DeadlineExceeded, Code.Aborted, Code.Canceled];

/** Converts what a call threw. The API's own sentence and remedy are kept; a network's failure gets ours. */
export function fromApiError(error: unknown, apiUrl: string): SolsticeError {
  if (isSolsticeError(error)) return error;
  const connectError = ConnectError.from(error);
  const code = errorCodes.find((known) => known === connectError.metadata.get(errorCodeHeader));
  if (code) return fromHeaders(connectError, code);
  if (connectError.code === Code.Unimplemented) return notOurApi(connectError, apiUrl);
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

function notOurApi(error: ConnectError, apiUrl: string): SolsticeError {
  return new SolsticeError(
    "unavailable",
    `What answers at ${apiUrl} is not an API of Solstice this command knows.`,
    {
      remedy: "Check --api-url (SOLSTICE_API_URL), and that the orchestrator has the same version.",
      cause: error,
    },
  );
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
