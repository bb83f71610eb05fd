// One life of a guest, in a process of its own that is killed at one of its steps. Its argument is a `LifeOrder` as JSON.
import type { GuestSpec, Hypervisor } from "../../../../src/hypervisor/hypervisor.ts";
import type { Victim } from "../harness.ts";
import { dieAt, type KillPoint, type StepHooks, watchSteps } from "./steps.ts";

/** What {@link live} is told. */
export interface LifeOrder {
  readonly victim: Victim;
  readonly spec: GuestSpec;
  readonly point: KillPoint;
}

watchSteps();
await live(JSON.parse(process.argv[2] ?? "") as LifeOrder);

async function live({ victim, spec, point }: LifeOrder): Promise<void> {
  const module: { openVictim(options: object): Hypervisor } = await import(victim.module);
  const hooks: StepHooks = await import(victim.hooks ?? victim.module);
  const { jobId } = spec;
  const hypervisor = module.openVictim(victim.options);
  // Who runs no command for it yet is no different from the suite's own object, which has done it before.
  await hypervisor.prepare();
  dieAt(point, hooks);
  await hypervisor.create(spec);
  await hypervisor.start(jobId);
  await hypervisor.requestShutdown(jobId);
  await hypervisor.destroy(jobId);
  await hypervisor.start(jobId);
  await hypervisor.remove(jobId);
  dieAt({ step: 0, moment: "before" }, {});
  await hypervisor.close();
}
