import { join } from "node:path";
import { orchestratorOptions } from "../../../config/options/options.ts";
import type { Environment, RawFlags } from "../../../config/options/read-options.ts";
import { zonesOptions } from "../../../config/options/zones-options.ts";
import type { OrchestratorConfig } from "../../../config/orchestrator-config.ts";
import { SolsticeError } from "../../../core/errors.ts";
import { expectedBackend } from "../../../core/hosts/backend-fit.ts";
import type { Backend } from "../../../core/job/job.ts";
import { examplesText, type RegisterCommand } from "../../command.ts";
import type { CliContext, Output } from "../../context.ts";
import { type Check, type CheckResult, type CheckStatus, runCheck } from "../../doctor/check.ts";
import { doctorSettings } from "../../doctor/configuration.ts";
import { spaceCheck, traversableCheck } from "../../doctor/disk-checks.ts";
import { drainCheck } from "../../doctor/drain-check.ts";
import { imageChecks } from "../../doctor/image-checks.ts";
import { isolationChecks } from "../../doctor/isolation-checks.ts";
import { kvmChecks } from "../../doctor/kvm-checks.ts";
import { examineLeaks } from "../../doctor/leaks.ts";
import { libvirtChecks } from "../../doctor/libvirt-checks.ts";
import { portChecks } from "../../doctor/port-checks.ts";
import { reachCheck } from "../../doctor/reach-checks.ts";
import { serviceChecks } from "../../doctor/service-checks.ts";
import { nodeCheck, toolChecks } from "../../doctor/tool-checks.ts";
import { thisHost } from "../../doctor/zones/observe.ts";
import { zonesChecks } from "../../doctor/zones-checks.ts";
import { hostDocument, type RunningHost } from "../../installation/running-host.ts";
import { addOptions, flagsGiven } from "../../option-flags.ts";
import { exitCodes } from "../../print/exit-codes.ts";
import { paint, write, writeJson } from "../../print/output.ts";
import { manyLines } from "../../print/text.ts";

const { config, dataDir, libvirtUri, libvirtNetwork, libvirtVirtType, apiListen, runnerListen, apiToken } =
  orchestratorOptions;
const { hypervisor, noopRunner, databaseUrl, firewall, guestLanAccess, guestHostPorts } = orchestratorOptions;
const { amqpUrl, amqpExchange, amqpQueue, amqpRoutingKey } = orchestratorOptions;
const { maxConcurrency, maxHolds } = orchestratorOptions;

/** The options of the orchestrator that the checks depend on. */
const doctorOptions = {
  ...{ config, dataDir, libvirtUri, libvirtNetwork, libvirtVirtType },
  ...{ apiListen, runnerListen, apiToken },
  ...{ hypervisor, noopRunner, databaseUrl, firewall, guestLanAccess, guestHostPorts },
  ...{ amqpUrl, amqpExchange, amqpQueue, amqpRoutingKey },
  ...{ maxConcurrency, maxHolds, ...zonesOptions },
};

/** `solstice doctor`: checks that this host can run jobs, and shows how to repair problems. */
export const registerDoctor: RegisterCommand = (program, context) => {
  const command = program
    .command("doctor")
    .summary("check this host, and show how to repair problems")
    .description(
      "Checks the host for the orchestrator: programs, libvirt, the guests' firewall, KVM (by running a tiny guest), disk, " +
        "ports, the image map and its images (on illumos: bhyve zones, dataset, links, addresses, forwarding, NAT and filter), and PostgreSQL and RabbitMQ if they are configured. Changes nothing. " +
        "If an orchestrator runs on this machine, its settings are examined, and settings here that differ are warnings. Exits 0 when no check fails (warnings may remain), else 1.\n\n" +
        "With --leaks the command compares the guests, files and records on this host with the store instead. The orchestrator of " +
        "this data directory compares them if it runs, else the command does. Exits 0 when nothing is left to repair, else 1.",
    )
    .option("--leaks", "show guests, files and records without an owner, each with its cause")
    .option(
      "--fix",
      "with --leaks: repair what can be repaired; guests and files of others are never changed",
    )
    .option("--json", "print one JSON document (and errors as JSON on stderr)");
  addOptions(command, doctorOptions)
    .addHelpText(
      "after",
      examplesText([
        ["sudo solstice doctor", "check this host as the orchestrator would use it"],
        ["sudo solstice doctor --leaks", "list leaks with their causes"],
        [
          "sudo solstice doctor --leaks --fix --json | jq '.leaks[] | select(.fixed | not)'",
          "repair the leaks, and list the rest",
        ],
      ]),
    )
    .action(async (flags: { json?: true; leaks?: true; fix?: true }) => {
      if (flags.fix && !flags.leaks) throw new SolsticeError("usage", "--fix needs --leaks.");
      if (flags.leaks) {
        const options = { fix: flags.fix ?? false, json: flags.json ?? false };
        return examineLeaks(flagsGiven(command), context, options);
      }
      const { results, running } = await examine(flagsGiven(command), context, flags.json ?? false);
      const hasFailed = results.some(({ status }) => status === "fail");
      if (flags.json)
        await writeJson(context.stdout, {
          ok: !hasFailed,
          orchestrator: running && hostDocument(running),
          checks: results,
        });
      else await write(context.stdout, summaryText(results));
      if (hasFailed) context.setExitCode(exitCodes.failure);
    });
};

/** Runs the checks one after the other, because some measure time, and prints each result at once. */
async function examine(
  flags: RawFlags,
  context: CliContext,
  isQuiet: boolean,
): Promise<{ results: readonly CheckResult[]; running: RunningHost | null }> {
  const results: CheckResult[] = [];
  const report = async (result: CheckResult) => {
    results.push(result);
    if (!isQuiet) await write(context.stdout, resultText(result, context.stdout));
  };
  const settings = await doctorSettings({ table: doctorOptions, flags, env: context.env });
  for (const result of settings.results) await report(result);
  const checks = settings.config
    ? await configuredChecks(settings.config, context.env)
    : [nodeCheck(), ...toolChecks()];
  for (const check of checks) await report(await runCheck(check));
  return { results, running: settings.running };
}

async function configuredChecks(settings: OrchestratorConfig, env: Environment): Promise<Check[]> {
  const { dataDir: folder, apiListen, runnerListen } = settings;
  const ports = portChecks({ apiListen, runnerListen, lockPath: join(folder, "orchestrator.lock") });
  const backend = expectedBackend(settings.hypervisor, process.platform);
  // The noop backend has no guests, so it needs no images and no hypervisor.
  if (backend === "noop")
    return [nodeCheck(), spaceCheck(folder), ...ports, drainCheck(folder), ...serviceChecks(settings)];
  return [
    nodeCheck(),
    ...(await backendChecks[backend](settings, env)),
    spaceCheck(folder),
    ...ports,
    drainCheck(folder),
    ...imageChecks(settings.imageMap, folder, backend),
    ...serviceChecks(settings),
  ];
}

/** Creates the checks of a backend. */
type BackendChecks = (settings: OrchestratorConfig, env: Environment) => Promise<readonly Check[]>;

/** The checks of each backend. */
const backendChecks: Readonly<Record<Exclude<Backend, "noop">, BackendChecks>> = {
  libvirt: async (settings) => [
    ...toolChecks(),
    ...libvirtChecks({ uri: settings.libvirtUri, network: settings.libvirtNetwork }),
    ...isolationChecks(settings),
    reachCheck(settings),
    ...kvmChecks(settings.libvirtVirtType),
    traversableCheck(settings.dataDir),
  ],
  zones: (settings, env) => zonesChecks(thisHost(env), settings),
};

const colours = { ok: "green", warn: "yellow", fail: "red" } as const satisfies Record<CheckStatus, string>;

function resultText(result: CheckResult, output: Output): string {
  const status = paint(output, colours[result.status], result.status.padEnd(4));
  const remedy = result.remedy === null ? "" : `\n      → ${manyLines(result.remedy).trim()}`;
  return `${status}  ${result.name}: ${manyLines(result.detail).trim().replaceAll("\n", "\n      ")}${remedy}\n`;
}

function summaryText(results: readonly CheckResult[]): string {
  const count = (status: CheckStatus) => results.filter((result) => result.status === status).length;
  const warnings = count("warn") === 1 ? "1 warning" : `${count("warn")} warnings`;
  return `\n${count("ok")} ok, ${warnings}, ${count("fail")} failed.\n`;
}
