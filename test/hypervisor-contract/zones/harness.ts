import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { guestName } from "../../../src/core/job/job.ts";
import type { RunCommand } from "../../../src/host/command.ts";
import { guestsDirectory } from "../../../src/hypervisor/guest-directories.ts";
import type { Victim, VictimModel } from "../contract/harness.ts";
import type { ContractHarness, Foreign } from "../contract.ts";
import { zonesFailures } from "./failures.ts";
import { removeNetwork, whatIsLeft } from "./look.ts";
import { openZones, suiteNetwork, type ZonesPlace, zonesPlace } from "./place.ts";
import { zonesSteps } from "./steps.ts";

/** A host with the commands of illumos: a real host, or the stand-in. */
export interface ZonesTestHost {
  /** A dataset of the suite's own: it does not exist, but its parent does. */
  readonly pool: string;
  readonly seeds: ZonesPlace["seeds"];
  readonly spec: ContractHarness["spec"];
  /** Runs the backend's commands. */
  readonly run: RunCommand;
  /** Runs the suite's own commands; the same as `run` on a host that records nothing. */
  readonly suiteRun: RunCommand;
  /** Time settings of the backend that differ from those on a real host. */
  readonly pace: Pick<ZonesPlace, "pollMs" | "observePauseMs">;
  /** Kills all processes in a zone. */
  crash(zone: string): Promise<void>;
  /** Fills the pool; the function that it returns frees the space again; null when that is not possible. */
  readonly fillPool: (() => () => void) | null;
  readonly victim: Pick<Victim, "environment" | "sampled">;
  /** The model of a kill on this host; null when only real processes can be killed. */
  readonly model: Pick<VictimModel, "run" | "haltAt" | "endedCommands"> | null;
  close(): Promise<void>;
}

/** The zones backend on a host. The suite also uses the host's commands for its own changes and checks. */
export async function createZonesHarness(host: ZonesTestHost): Promise<ContractHarness> {
  const { pool, run, suiteRun, seeds, pace } = host;
  // A short path, because socket paths have a length limit.
  const dataDir = await mkdtemp("/tmp/sz-");
  const common = { seeds, ...pace };
  const place = zonesPlace({ ...common, dataDir, pool, first: 2 });
  const neighbour = zonesPlace({ ...common, dataDir: join(dataDir, "n"), pool: `${pool}-n`, first: 100 });
  return {
    open: () => openZones(place, run),
    openNeighbour: () => openZones(neighbour, run),
    spec: host.spec,
    guestsDir: guestsDirectory(dataDir),
    plantForeign: (jobId) => plantForeign(suiteRun, jobId),
    crash: (jobId) => host.crash(guestName(jobId)),
    failures: zonesFailures(host, place),
    victim: victimOf(host, place),
    whatIsLeft: (jobId) => whatIsLeft(suiteRun, place, jobId),
    async close() {
      for (const { settings } of [place, neighbour])
        await suiteRun("zfs", ["destroy", "-r", settings.pool], { acceptExitCodes: [0, 1] });
      await removeNetwork(suiteRun, suiteNetwork);
      await host.close();
      await rm(dataDir, { recursive: true });
    },
  };
}

function victimOf({ victim, model }: ZonesTestHost, place: ZonesPlace): Victim {
  const { module, hooks, onlyLooks } = zonesSteps;
  const killed = { ...victim, module, hooks, options: place };
  if (model === null) return killed;
  return {
    ...killed,
    model: {
      ...model,
      part: "whole",
      open: (run) => openZones(place, run),
      onlyLooks,
      cut: (program, args) => model.run(program, args),
    },
  };
}

async function plantForeign(run: RunCommand, jobId: string): Promise<Foreign> {
  const name = guestName(jobId);
  const text = `create -b; set brand=bhyve; set zonepath=/zones-of-somebody/${name}; set ip-type=exclusive`;
  await run("zonecfg", ["-z", name, text]);
  const exported = async () => (await run("zonecfg", ["-z", name, "export"])).stdout;
  const planted = await exported();
  return {
    intact: async () => (await exported()) === planted,
    async remove() {
      await run("zonecfg", ["-z", name, "delete", "-F"]);
    },
  };
}
