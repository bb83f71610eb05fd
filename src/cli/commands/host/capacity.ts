import type { CapacityResponse, HostCapacity, LabelCapacity } from "../../../gen/solstice/v1/jobs_pb.ts";
import { addClientOptions, examplesText, openSession, type RegisterCommand } from "../../command.ts";
import type { Output } from "../../context.ts";
import { hostDocument, hostSentence, queryHost, type RunningHost } from "../../installation/running-host.ts";
import { paintState, write, writeJson } from "../../print/output.ts";
import { tableText } from "../../print/table.ts";
import { oneLine } from "../../print/text.ts";

/** `solstice capacity`: the caps, and the number of running and waiting jobs. */
export const registerCapacity: RegisterCommand = (program, context) => {
  const command = program
    .command("capacity")
    .summary("show running and waiting jobs, and the caps")
    .description(
      "Shows how many jobs run and wait, in total and for each label, the caps, and the state of the images.",
    );
  addClientOptions(command)
    .addHelpText("after", examplesText([["solstice capacity --json | jq .running", "how many jobs run now"]]))
    .action(async (flags: { json?: true }) => {
      const session = await openSession(command, context);
      const answer = await session.call((client, options) => client.capacity({}, options));
      const host = await queryHost(session, { images: false });
      const running = "absence" in host ? null : host;
      const orchestrator = running && hostDocument(running);
      if (flags.json) await writeJson(context.stdout, { ...capacityDocument(answer), orchestrator });
      else await write(context.stdout, capacityText(answer, context.stdout) + orchestratorText(running));
    });
};

function orchestratorText(host: RunningHost | null): string {
  return host === null ? "" : `\n${hostSentence(host)}\n`;
}

function capacityDocument(answer: CapacityResponse) {
  return {
    max_concurrency: answer.maxConcurrency,
    running: answer.running,
    queued: answer.queued,
    draining: answer.draining,
    labels: answer.labels.map((label) => ({
      label: label.label,
      image: label.image,
      cap: label.cap ?? null,
      running: label.running,
      queued: label.queued,
      image_state: label.imageState,
      image_message: label.imageMessage || null,
    })),
    hosts: answer.hosts.map((host) => ({
      host_id: host.hostId,
      hostname: host.hostname,
      backend: host.backend,
      state: host.state,
      message: host.message || null,
      max_concurrency: host.maxConcurrency,
      running: host.running,
      renewed_ms: Number(host.renewedMs),
      labels: host.labels,
      ready_labels: host.readyLabels,
      version: host.version,
      api_url: host.apiUrl || null,
    })),
  };
}

function capacityText(answer: CapacityResponse, output: Output): string {
  const draining = answer.draining ? ` ${drainingText(answer)}` : "";
  const summary = `${answer.running} of ${answer.maxConcurrency} running, ${answer.queued} waiting.${draining}\n`;
  if (answer.labels.length === 0) return summary;
  const head = ["LABEL", "IMAGE", "RUNNING", "WAITING", "IMAGE STATE"];
  const rows = answer.labels.map((label) => labelRow(label, output));
  return `${summary}\n${tableText({ head, rows, flexible: [4], whole: [0] }, output)}${hostsText(answer, output)}`;
}

/** The reason why the answering host, the first in the list, starts no more jobs. */
function drainingText({ hosts }: CapacityResponse): string {
  return `This host starts no more jobs.${hosts[0]?.message ? ` ${oneLine(hosts[0].message)}` : ""}`;
}

/** The hosts, if there are several. The numbers above belong to the answering host, the first in the list. */
function hostsText({ hosts }: CapacityResponse, output: Output): string {
  if (hosts.length < 2) return "";
  const head = ["HOST", "BACKEND", "RUNNING", "LABELS", "STATE"];
  const rows = hosts.map((host) => hostRow(host, output));
  return `\n${tableText({ head, rows, flexible: [3, 4], whole: [0] }, output)}`;
}

function hostRow(host: HostCapacity, output: Output): string[] {
  const unready = host.labels.length - host.readyLabels.length;
  const labels = host.labels.map(oneLine).join(", ") + (unready > 0 ? ` (${unready} not ready)` : "");
  const message = host.message ? `: ${oneLine(host.message)}` : "";
  return [
    oneLine(host.hostId),
    oneLine(host.backend),
    `${host.running} of ${host.maxConcurrency}`,
    labels,
    paintState(output, host.state, oneLine(host.state)) + message,
  ];
}

function labelRow(label: LabelCapacity, output: Output): string[] {
  const cap = label.cap === undefined ? "" : ` of ${label.cap}`;
  const message = label.imageMessage ? `: ${oneLine(label.imageMessage)}` : "";
  return [
    oneLine(label.label),
    oneLine(label.image),
    `${label.running}${cap}`,
    String(label.queued),
    paintState(output, label.imageState, oneLine(label.imageState)) + message,
  ];
}
