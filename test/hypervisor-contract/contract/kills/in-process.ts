import type { RunCommand } from "../../../../src/host/command.ts";
import type { GuestSpec, Hypervisor } from "../../../../src/hypervisor/hypervisor.ts";
import type { VictimModel } from "../harness.ts";
import { live } from "./live.ts";
import { begin, type KillPoint, type Life } from "./steps.ts";
import { currentLife, never, unlessDead, watchFiles, within } from "./watch.ts";

/**
 * The model of a kill: a hypervisor object in this process that stops for ever at its kill point. Nothing that it
 * does afterwards reaches the host, and its connections are closed, like those of a killed process. `point` null: its
 * whole life.
 */
export async function liveInProcess(
  model: VictimModel,
  spec: GuestSpec,
  point: KillPoint | null,
): Promise<Life> {
  watchFiles();
  const ended = Promise.withResolvers<void>();
  const life: Life = {
    point,
    steps: [],
    isDead: false,
    die() {
      life.isDead = true;
      ended.resolve();
      return never();
    },
  };
  const victim: Hypervisor = model.open(counted(model));
  if (model.part !== "first use") await victim.prepare();
  const release = point?.moment === "cut" ? model.haltAt?.(point) : undefined;
  await Promise.race([within(life, () => live(victim, spec, model.part)), ended.promise]);
  release?.();
  const closed = within(life, () => victim.close());
  // A killed life never reaches its end.
  if (!life.isDead) await closed;
  return life;
}

/**
 * Runs commands as the model's host does. Each command that changes something is a step of the life that it belongs
 * to.
 */
function counted(model: VictimModel): RunCommand {
  const { run, onlyLooks, cut } = model;
  return async (program, args, options = {}) => {
    const life = currentLife();
    if (life === null) return run(program, args, options);
    if (life.isDead) return never();
    const mortal = { ...options, signal: signalOfTheLiving(life, options.signal) };
    if (onlyLooks(program, args)) return unlessDead(life, run(program, args, mortal));
    const moment = begin(life, `${program} ${args.join(" ")}`, ["orphaned", "cut"]);
    if (moment === null) return unlessDead(life, run(program, args, mortal));
    if (moment === "orphaned") await orphan(run(program, args), model);
    if (moment === "cut") await cut(program, args).catch(() => {});
    return life.die();
  };
}

/** A command whose process was killed: on a host that cannot wait for it later, it ends before the test continues. */
async function orphan(running: Promise<unknown>, { endedCommands }: VictimModel): Promise<void> {
  const ended = running.catch(() => {});
  if (endedCommands === undefined) await ended;
}

/** A command outlives the process that started it: a killed life must not abort its commands. */
function signalOfTheLiving(life: Life, signal: AbortSignal | undefined): AbortSignal {
  const own = new AbortController();
  if (signal?.aborted) own.abort(signal.reason);
  signal?.addEventListener("abort", () => {
    if (!life.isDead) own.abort(signal.reason);
  });
  return own.signal;
}
