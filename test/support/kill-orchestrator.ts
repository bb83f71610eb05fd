// Loaded into an orchestrator with zones before its own code (`--import`). Kills the orchestrator at a command that
// changes its host. The variable SOLSTICE_TEST_KILL holds the `KillPoint` as JSON.
import type { KillPoint } from "../hypervisor-contract/contract/kills/steps.ts";
import { watchProgramsOnly } from "../hypervisor-contract/contract/kills/watch-process.ts";
import { onlyLooks } from "../hypervisor-contract/zones/looks.ts";

// `bin/solstice` also starts Node once to read its version.
if (process.argv.includes("orchestrator")) {
  watchProgramsOnly(JSON.parse(process.env.SOLSTICE_TEST_KILL ?? "") as KillPoint, { onlyLooks: isNoStep });
}

/** Other programs, such as qemu-img, change nothing that outlives a guest's creation. */
function isNoStep(program: string, args: readonly string[]): boolean {
  const ofIllumos = ["zfs", "zoneadm", "zonecfg", "dladm", "ipadm", "dd"];
  return !ofIllumos.includes(program) || onlyLooks(program, args);
}
