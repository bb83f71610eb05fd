import { listSlots } from "../../store/jobs/capacity.ts";
import type { Context } from "../context.ts";
import { type Loop, startLoop } from "../loop.ts";
import { isStoreAway } from "../store-away.ts";
import { startConsoleKeeper } from "./console-keeper.ts";
import { driveJob } from "./drive-job.ts";
import { createObservation } from "./observation.ts";

/** Maximum pause between searches for jobs without a driver, in case every wake is lost, in ms. */
const safetyPollMs = 5_000;

/** The drivers of this host's active jobs. */
export interface Lifecycle {
  /** Wakes every driver, as after a change of the host's phase. */
  wakeAll(): void;
  /** Resolves when no job of this host is active. Useful only after the last claim. */
  idle(): Promise<void>;
  /** Ends every driver after its current action, in any state of its job. */
  stop(): Promise<void>;
}

/**
 * Gives each active job of this host a driver: a loop that observes, decides and acts until the job has ended
 * or waits for another attempt. After a crash the drivers are started again.
 */
export function startLifecycle(context: Context): Lifecycle {
  const drivers = new Map<string, Loop>();
  const keepers = new Set<Loop>();
  const idleWaiters: (() => void)[] = [];

  const finder = startLoop({
    name: "lifecycle",
    log: context.log,
    run: async () => {
      const active = await listSlots(context.store, context.identity.hostId);
      for (const job of active) if (!drivers.has(job.id)) startDriver(job.id);
      if (active.length === 0) for (const resolve of idleWaiters.splice(0)) resolve();
      return safetyPollMs;
    },
  });

  const startDriver = (jobId: string) => {
    const observation = createObservation(context);
    const driver = startLoop({
      name: `job ${jobId}`,
      // The loop that finds jobs without a driver reads the same store and logs such errors.
      isLoggedElsewhere: isStoreAway,
      log: context.log,
      run: (reading) =>
        context.guestLock.run(jobId, () => driveJob(context, jobId, { observation, reading })),
    });
    drivers.set(jobId, driver);
    const keeper = startConsoleKeeper(context, jobId);
    keepers.add(keeper);
    void keeper.ended.then(() => keepers.delete(keeper));
    void driver.ended.then(() => {
      void keeper.stop();
      drivers.delete(jobId);
      finder.wake();
    });
  };

  const wakeAll = () => {
    for (const driver of drivers.values()) driver.wake();
    finder.wake();
  };

  const unsubscribe = [
    context.store.subscribe((wake) => {
      if (wake.kind === "log") return;
      if (wake.kind === "all") return wakeAll();
      (drivers.get(wake.jobId) ?? finder).wake();
    }),
    context.hypervisor.onChange((jobId) => {
      if (jobId === null) wakeAll();
      else drivers.get(jobId)?.wake();
    }),
  ];

  return {
    wakeAll,
    idle: () =>
      new Promise((resolve) => {
        idleWaiters.push(resolve);
        finder.wake();
      }),
    async stop() {
      for (const end of unsubscribe) end();
      await finder.stop();
      await Promise.all([...drivers.values(), ...keepers].map((loop) => loop.stop()));
    },
  };
}
