import type { Logger } from "pino";

/** The log every part writes to: an object of facts, then a sentence. */
export type Log = Pick<Logger, "debug" | "info" | "warn" | "error">;
