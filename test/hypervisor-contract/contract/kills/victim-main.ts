// One life of a guest, in a separate process that is killed at one of its steps. The argument is a `LifeOrder` as
// JSON.
import type { GuestSpec, Hypervisor } from "../../../../src/hypervisor/hypervisor.ts";
import type { Victim } from "../harness.ts";
import { live } from "./live.ts";
import type { KillPoint } from "./steps.ts";
import { type StepHooks, watchProcess } from "./watch-process.ts";

/** The settings of a victim. */
export interface LifeOrder {
  readonly victim: Pick<Victim, "module" | "hooks" | "options">;
  readonly spec: GuestSpec;
  readonly point: KillPoint | null;
}

await run(JSON.parse(process.argv[2] ?? "") as LifeOrder);

async function run({ victim, spec, point }: LifeOrder): Promise<void> {
  const module: { openVictim(options: object): Hypervisor } = await import(victim.module);
  const hooks: StepHooks = await import(victim.hooks ?? victim.module);
  const hypervisor = module.openVictim(victim.options);
  await hypervisor.prepare();
  const life = watchProcess(point, hooks);
  await live(hypervisor, spec);
  process.stdout.write(JSON.stringify(life.steps));
  await hypervisor.close();
}
