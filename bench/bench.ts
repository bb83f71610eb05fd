import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type PrivatePostgres, startPrivatePostgres } from "../test/support/servers/private-postgres.ts";
import { type PrivateRabbitmq, startPrivateRabbitmq } from "../test/support/servers/private-rabbitmq.ts";
import type { Figure } from "./report.ts";

/** QEMU's user must be able to pass through, which a directory under /root would not allow. */
const temporaryRoot = "/var/tmp";

/** What a section works with. What it opens is closed after the run, the last first. */
export interface Bench {
  /** A smoke run: a tenth of the work and less; its figures say nothing. */
  readonly isQuick: boolean;
  /** Says what is being done, to a person who waits. */
  report(text: string): void;
  /** A new empty directory, removed after the run. */
  makeDirectory(): string;
  /** The run's own RabbitMQ, started with the first call. */
  broker(): Promise<PrivateRabbitmq>;
  /** The run's own PostgreSQL, whose commits wait for the disk, started with the first call. */
  database(): Promise<PrivatePostgres>;
}

/** One part of the benchmark, which can be chosen by its name. */
export type Section = (bench: Bench) => Promise<Figure[]>;

/** Prepares a run; everything it makes goes with `closing`. */
export function createBench(
  closing: AsyncDisposableStack,
  options: { isQuick: boolean; report(text: string): void },
): Bench {
  let broker: Promise<PrivateRabbitmq> | null = null;
  let database: Promise<PrivatePostgres> | null = null;
  return {
    ...options,
    makeDirectory() {
      const directory = mkdtempSync(join(temporaryRoot, "solstice-bench-"));
      closing.defer(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
      return directory;
    },
    broker() {
      broker ??= startPrivateRabbitmq().then((started) => {
        closing.defer(() => started.stop());
        return started;
      });
      return broker;
    },
    database() {
      database ??= startPrivatePostgres({ flush: true }).then((started) => {
        closing.defer(() => started.stop());
        return started;
      });
      return database;
    },
  };
}
