import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../../../src/host/command.ts";
import { openStandIn, type StandIn } from "../../illumos/stand-in.ts";
import type { KillPoint } from "../contract/kills/steps.ts";
import { nameStep } from "../contract/kills/steps.ts";
import type { ContractHarness } from "../contract.ts";
import { testSpec, tinyImage } from "../libvirt/harness.ts";
import { createZonesHarness } from "./harness.ts";

/** The digest of the tests' image: one import for all guests. */
const imageDigest = "ab".repeat(32);

/** Size of the image for guests that read none; not a multiple of a block. */
const imageBytes = 2.5 * 1024 * 1024 + 100;

/** Faster than on a real host: the tests wait until the watch has polled. */
const quickPace = { pollMs: 50, observePauseMs: 20 };

/** Number of processes killed on the stand-in in `npm test`, to check the model of a kill. */
const sampledOnStandIn = 1;

/** A real host has no model. */
const sampledOnIllumos = 30;

/** Time limit of `zoneadm shutdown` for a deaf guest on the stand-in, in seconds. */
const shutdownSeconds = 2;

const poolBytes = 64 * 1024 ** 3;

/**
 * The zones backend on the stand-in. `scripted`: its guests are not machines, and behave like a test guest; `qemu`:
 * real boots of the tiny guest.
 */
export async function createZonesOnStandIn(options: {
  guests: "scripted" | "qemu";
  /** A dataset that does not exist; its parent is the pool. */
  pool?: string;
  /** The tiny guest as a raw image; built by default. */
  image?: string | null;
}): Promise<ContractHarness> {
  const { guests } = options;
  const standIn = await openStandIn({ guests, poolBytes, shutdownSeconds });
  return createZonesHarness({
    pool: options.pool ?? "rpool/solstice",
    seeds: guests === "scripted" ? "plain" : "whole",
    spec: guests === "scripted" ? scriptedSpec(standIn) : await tinySpec(options.image ?? null),
    run: standIn.run,
    suiteRun: standIn.run,
    pace: quickPace,
    async crash(zone) {
      const pid = standIn.guestPid(zone);
      if (pid !== null) process.kill(pid, "SIGKILL");
    },
    fillPool() {
      standIn.setPoolBytes(1024);
      return () => standIn.setPoolBytes(poolBytes);
    },
    victim: { environment: standIn.environment, sampled: sampledOnStandIn },
    model: { run: standIn.run, ...haltingOf(standIn) },
    close: () => standIn.close(),
  });
}

/** The zones backend on this illumos host, with real boots of the tiny guest, a raw image. */
export async function createZonesOnIllumos(options: {
  pool: string;
  image: string;
}): Promise<ContractHarness> {
  const { pool, image } = options;
  return createZonesHarness({
    pool,
    seeds: "whole",
    spec: (guest) => ({ ...testSpec({ ...guest, imagePath: image }), imageFormat: "raw", imageDigest }),
    run: runCommand,
    suiteRun: runCommand,
    pace: {},
    async crash(zone) {
      await runCommand("pkill", ["-KILL", "-z", zone, "."]);
    },
    fillPool: null,
    victim: { sampled: sampledOnIllumos },
    model: null,
    async close() {},
  });
}

function scriptedSpec({ directory }: StandIn): ContractHarness["spec"] {
  const imagePath = join(directory, "images", "none.raw");
  mkdirSync(join(directory, "images"));
  writeFileSync(imagePath, Buffer.alloc(imageBytes, "solstice"));
  return ({ behaviour, ...guest }) => ({
    ...testSpec({ ...guest, behaviour, imagePath }),
    imageFormat: "raw",
    imageDigest,
    seed: { metaData: "", userData: `behaviour: ${behaviour}\n` },
  });
}

async function tinySpec(raw: string | null): Promise<ContractHarness["spec"]> {
  const imagePath = raw ?? (await tinyImage());
  const imageFormat = raw === null ? "qcow2" : "raw";
  return (guest) => ({ ...testSpec({ ...guest, imagePath }), imageFormat, imageDigest });
}

/** The functions by which the stand-in makes a command die halfway, and reports that a command has ended. */
function haltingOf(standIn: StandIn) {
  return {
    haltAt({ step, nth }: KillPoint): () => void {
      const [command = "", ...words] = step.split(" ");
      // The parts that step names leave out match anything. Adjacent gaps become one: each more would multiply the
      // time of a match.
      const parts = words.join(" ").split(/(?:job-ID|ID|CARD|MAC|NUMBER| )+/);
      const pattern = new RegExp(`^${parts.map((part) => RegExp.escape(part)).join("[^]*?")}`);
      const fault = standIn.fault({ command, arguments: pattern, nth }, { kind: "die", when: "halfway" });
      return () => fault.release();
    },
    endedCommands: (step: string) =>
      standIn.commands().filter(({ command, args }) => nameStep(`${command} ${args.join(" ")}`) === step)
        .length,
  };
}
