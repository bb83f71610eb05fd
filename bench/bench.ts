import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type PrivatePostgres, startPrivatePostgres } from "../test/support/servers/private-postgres.ts";
import { type PrivateRabbitmq, startPrivateRabbitmq } from "../test/support/servers/private-rabbitmq.ts";
import type { Figure } from "./report.ts";

/** The parent of temporary directories. QEMU's user needs search permission for it, which a directory under /root lacks. */
const temporaryRoot = "/var/tmp";

/** The resources of a section. They are closed after the run, in reverse order. */
export interface Bench {
  /** True for a smoke run with a tenth of the work or less; its figures have no meaning. */
  readonly isQuick: boolean;
  /** Reports the current action to a person who waits. */
  report(text: string): void;
  /** A new empty directory, removed after the run. */
  makeDirectory(): string;
  /** The run's own RabbitMQ, started with the first call. */
  broker(): Promise<PrivateRabbitmq>;
  /** The run's own PostgreSQL, whose commits wait for the disk, started with the first call. */
  database(): Promise<PrivatePostgres>;
}

/** One part of the benchmark, selected by its name. */
export type Section = (bench: Bench) => Promise<Figure[]>;

/** Prepares a run. All its resources are removed with `closing`. */
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
