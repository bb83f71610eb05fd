import { loadOrchestratorConfig } from "../../config/load-orchestrator-config.ts";
import type { OptionDefinition } from "../../config/options/option-definition.ts";
import { type Environment, givenText, type RawFlags } from "../../config/options/read-options.ts";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { errorText, isSolsticeError } from "../../core/errors.ts";
import type { DescribeHostResponse } from "../../gen/solstice/v1/jobs_pb.ts";
import { openApiSession } from "../api/api-session.ts";
import { differences, settingOf } from "../installation/differences.ts";
import { type HostAnswer, hostSentence, queryHost, type RunningHost } from "../installation/running-host.ts";
import { type CheckResult, fail, ok, warn } from "./check.ts";

/** The doctor's flags and environment, and the orchestrator's options that its checks depend on. */
export interface DoctorInput {
  readonly table: Readonly<Record<string, OptionDefinition<unknown>>>;
  readonly flags: RawFlags;
  readonly env: Environment;
}

/** The settings to check (null if they are invalid), and the findings about the settings. */
export interface DoctorSettings {
  readonly results: readonly CheckResult[];
  readonly config: OrchestratorConfig | null;
  /** The orchestrator that runs with these settings; null if none runs here. */
  readonly running: RunningHost | null;
}

/**
 * The settings to examine: those of the orchestrator that runs on this machine, else those of flags and environment. A flag
 * or variable that differs from the running orchestrator is a warning.
 */
export async function doctorSettings(input: DoctorInput): Promise<DoctorSettings> {
  const answer = await queryLocalHost(input);
  const running = "absence" in answer ? null : answer;
  const flags = running === null ? input.flags : flagsOf(running.description, input);
  const env = running === null ? input.env : {};
  const name = "configuration";
  try {
    const config = await loadOrchestratorConfig(flags, env);
    const valid = `The image map ${config.configPath} is valid.`;
    const results = [
      { name, ...ok(`${valid} ${answerText(answer)}`) },
      ...(answer.problem ? [{ name: "settings", ...warn(answer.problem, null) }] : []),
      ...(running === null ? [] : settingsResults(running, input, config)),
    ];
    return { results, config, running };
  } catch (error) {
    const remedy = "Correct the configuration and run the command again; the other checks need it.";
    return { results: [{ name, ...fail(errorText(error), remedy) }], config: null, running };
  }
}

/** The orchestrator of this machine; the doctor examines no other. `problem`: an orchestrator runs, but the call failed. */
async function queryLocalHost({ flags, env }: DoctorInput): Promise<HostAnswer & { problem?: string }> {
  try {
    const { apiToken, dataDir } = flags;
    const answer = await queryHost(await openApiSession({ apiToken, dataDir }, env), { images: false });
    if ("absence" in answer || answer.isHere) return answer;
    return { absence: `${hostSentence(answer)} It runs on another machine and is not examined.` };
  } catch (error) {
    if (isSolsticeError(error, "config_invalid")) return { absence: "" };
    return {
      absence: "",
      problem: `An orchestrator runs, but its settings cannot be read: ${errorText(error)}`,
    };
  }
}

function answerText(answer: HostAnswer): string {
  if (!("absence" in answer)) return hostSentence(answer);
  return `These are the settings of this command, not of a running orchestrator. ${answer.absence}`.trim();
}

/** The orchestrator's settings as flags. Its answer holds no secrets, so secrets come from this command's flags and environment. */
function flagsOf(host: DescribeHostResponse, { table, flags, env }: DoctorInput): RawFlags {
  const pairs = Object.entries(table).flatMap(([name, option]) => {
    const theirs = settingOf(host, option.flag);
    if (theirs === null) return [];
    const text = theirs.secret ? givenText(option, flags[name], env)?.text : theirs.value;
    return text === undefined ? [] : [[name, text]];
  });
  return Object.fromEntries(pairs);
}

function settingsResults(
  { description }: RunningHost,
  input: DoctorInput,
  config: OrchestratorConfig,
): CheckResult[] {
  const differing = differences(input, description);
  const isChanged = config.imageMapSha256 !== description.imageMapSha256;
  return [
    ...differing.map((sentence) => ({
      name: "settings",
      ...warn(
        `${sentence} The orchestrator's value is examined.`,
        "Restart the orchestrator with this value, or unset it here.",
      ),
    })),
    ...(isChanged
      ? [
          {
            name: "settings",
            ...warn(`${config.configPath} was changed after the orchestrator read it.`, null),
          },
        ]
      : []),
    ...unexamined(description, input).map((flag) => ({
      name: "settings",
      ...warn(
        `The orchestrator runs with --${flag}, whose value is secret: that service is not examined.`,
        "Run this command with the orchestrator's environment.",
      ),
    })),
  ];
}

/** Flags of services that the orchestrator uses and that this command has no address for. */
function unexamined(host: DescribeHostResponse, { table, flags, env }: DoctorInput): string[] {
  return Object.entries(table)
    .filter(([name, option]) => settingOf(host, option.flag)?.secret && !givenText(option, flags[name], env))
    .map(([, option]) => option.flag);
}
