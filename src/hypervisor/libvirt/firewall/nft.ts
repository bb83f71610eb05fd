import { errorText, isSolsticeError, SolsticeError } from "../../../core/errors.ts";
import { runCommand } from "../../../host/command.ts";
import { buildRemoval, tableName } from "./ruleset.ts";

/** Deadline of one call of nft, which takes milliseconds unless the machine is overloaded. */
const deadlineSeconds = 30;

const withoutIt =
  "Guests can be run without the firewall (FIREWALL=off): they then reach this host's ports, its networks and each other's addresses.";

/** Runs a script of nft as one transaction. */
export async function applyRuleset(ruleset: string): Promise<void> {
  await nft(["-f", "-"], ruleset);
}

/** Lists both tables in the kernel, without counters; a missing table is empty. */
export async function listTables(prefix: string): Promise<string> {
  const name = tableName(prefix);
  // Two calls, because nft 1.0.6 lists only the last of two tables in one call.
  const [bridge, host] = await Promise.all([listTable("bridge", name), listTable("inet", name)]);
  return bridge === "" || host === "" ? "" : bridge + host;
}

async function listTable(family: "bridge" | "inet", name: string): Promise<string> {
  const { exitCode, stdout, stderr } = await nft(["-s", "list", "table", family, name], "", [0, 1]);
  if (exitCode === 0) return stdout;
  // nft exits with 1 for every failure: only the C library's text for ENOENT distinguishes a missing table.
  if (/No such file or directory/.test(stderr)) return "";
  throw refused(stderr.trim());
}

/** Removes both tables. Idempotent. */
export async function removeTables(prefix: string): Promise<void> {
  await applyRuleset(buildRemoval(prefix));
}

async function nft(args: readonly string[], input: string, acceptExitCodes: readonly number[] = [0]) {
  try {
    return await runCommand("nft", args, { input, acceptExitCodes, deadlineSeconds });
  } catch (error) {
    if (!isSolsticeError(error, "host_missing_tool")) throw refused(errorText(error), error);
    const remedy = `${error.remedy} ${withoutIt}`;
    throw new SolsticeError("host_missing_tool", "The guests' firewall needs nft, which is not installed.", {
      remedy,
      cause: error,
    });
  }
}

function refused(said: string, cause?: unknown): SolsticeError {
  return new SolsticeError("hypervisor_failed", `The guests' firewall cannot be set up: ${said}`, {
    remedy: `Run as root (or with CAP_NET_ADMIN), on a kernel with nftables for bridges. ${withoutIt}`,
    cause,
  });
}
