import { DatabaseError } from "pg";
import { type ErrorCode, errorText, isSolsticeError, SolsticeError } from "../../core/errors.ts";

// Conditions of https://www.postgresql.org/docs/current/errcodes-appendix.html, by SQLSTATE or by its class (the first
// two characters).
const serializationFailure = "40001";
const deadlockDetected = "40P01";
const lockNotAvailable = "55P03";
const featureNotSupported = "0A000";

/**
 * The server's function that reports a changed result of a prepared statement. The error's code has other causes too, and
 * its text is translated.
 */
const outdatedRoutine = "RevalidateCachedQuery";

interface Explanation {
  readonly code: ErrorCode;
  readonly remedy: string;
}

const retried =
  "The operation is retried automatically; if the error persists, check the PostgreSQL server and its log.";

const explanations: Readonly<Record<string, Explanation>> = {
  "08": { code: "unavailable", remedy: retried },
  "25006": {
    code: "unavailable",
    remedy: "The database is read-only: set DATABASE_URL to the primary server.",
  },
  "28": { code: "store_failed", remedy: "Check the user and the password in DATABASE_URL, and pg_hba.conf." },
  "3D000": { code: "store_failed", remedy: "Create the database: createdb -O USER NAME." },
  "40": {
    code: "unavailable",
    remedy: "Other transactions changed the same rows at the same time: try again.",
  },
  "42501": { code: "store_failed", remedy: "Let the user of DATABASE_URL own the database." },
  "53100": { code: "disk_full", remedy: "Free space on the disk of the PostgreSQL server." },
  "53300": {
    code: "unavailable",
    remedy: "Raise max_connections of the PostgreSQL server: 10 for each host.",
  },
  "53": { code: "unavailable", remedy: retried },
  "55P03": { code: "unavailable", remedy: retried },
  "57": { code: "unavailable", remedy: retried },
};

const lost: Explanation = {
  code: "unavailable",
  remedy: "Check that the PostgreSQL server runs and that DATABASE_URL names it.",
};

const other: Explanation = { code: "store_failed", remedy: "Look at the log of the PostgreSQL server." };

/**
 * The only place where errors of PostgreSQL and its driver become ours: `disk_full`, `unavailable` when a retry may
 * succeed, otherwise `store_failed`. `database` is its name without the password. Errors that are ours already pass
 * unchanged.
 */
export function toStoreError(database: string, error: unknown): SolsticeError {
  if (error instanceof SolsticeError) return error;
  const { code, remedy } = explain(error);
  return new SolsticeError(code, `The database ${database} failed: ${wordsOf(error)}.`, {
    remedy,
    cause: error,
  });
}

function explain(error: unknown): Explanation {
  // An error that is not from the server is from the connection: refused, reset, timed out, not found.
  if (!(error instanceof DatabaseError)) return lost;
  if (isStatementOutdated(error)) return { code: "unavailable", remedy: retried };
  const code = error.code ?? "";
  return explanations[code] ?? explanations[code.slice(0, 2)] ?? other;
}

/**
 * The text of an error. If several addresses were tried, the error is an `AggregateError`, whose own message is empty.
 */
function wordsOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(wordsOf).join("; ");
  if (error instanceof DatabaseError) return error.message;
  return errorText(error).replace(/\.$/, "");
}

/** True when a transaction failed because of another one, or of a newer schema: a retry may succeed. */
export function isWorthRepeating(error: unknown): boolean {
  const code = causeOf(error)?.code ?? "";
  return (
    [serializationFailure, deadlockDetected, lockNotAvailable].includes(code) || isStatementOutdated(error)
  );
}

/** True when no connection exists any more: the statement may or may not have been executed. */
export function isConnectionLost(error: unknown): boolean {
  return isSolsticeError(error, "unavailable") && !leavesConnectionUsable(error.cause);
}

/** True when a prepared statement is outdated, because a newer version migrated the database meanwhile. */
export function isStatementOutdated(error: unknown): boolean {
  const cause = causeOf(error);
  return cause?.code === featureNotSupported && cause.routine === outdatedRoutine;
}

/** True when the connection is usable after `error`: the server refused one statement, and reported that. */
export function leavesConnectionUsable(error: unknown): boolean {
  return error instanceof DatabaseError && error.severity === "ERROR";
}

function causeOf(error: unknown): DatabaseError | null {
  const cause = error instanceof SolsticeError ? error.cause : error;
  return cause instanceof DatabaseError ? cause : null;
}
