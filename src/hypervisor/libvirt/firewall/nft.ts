import { errorText, isSolsticeError, SolsticeError } from "../../../core/errors.ts";
import { runCommand } from "../../../host/command.ts";
import { buildRemoval, tableName } from "./ruleset.ts";

/** How long one call of nft may take; it takes milliseconds unless the machine is starved. */
const deadlineSeconds = 30;

const withoutIt =
  "Guests can be run without it (FIREWALL=off): they then reach this host's ports, its networks and each other's addresses.";

/** Runs a script of nft's as one transaction: all of it, or nothing. */
export async function applyRuleset(ruleset: string): Promise<void> {
  await nft(["-f", "-"], ruleset);
}

/** Both tables as the kernel has them, without counters; empty where one is missing. */
export async function listTables(prefix: string): Promise<string> {
  const name = tableName(prefix);
  // Not in one call: nft 1.0.6 then reads the last of the two only.
  const [bridge, host] = await Promise.all([listTable("bridge", name), listTable("inet", name)]);
  return bridge === "" || host === "" ? "" : bridge + host;
}

async function listTable(family: "bridge" | "inet", name: string): Promise<string> {
  const { exitCode, stdout, stderr } = await nft(["-s", "list", "table", family, name], "", [0, 1]);
  if (exitCode === 0) return stdout;
  // nft ends with 1 for every failure: only its text, the C library's for ENOENT, tells a missing table from another.
  if (/No such file or directory/.test(stderr)) return "";
  throw refused(stderr.trim());
}

/** Removes both tables; there may be none. */
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
