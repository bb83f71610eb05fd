import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { orchestratorOptions } from "../../src/config/options/options.ts";
import { handOverMaxMs } from "../../src/orchestrator/process/hand-over.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

/** systemd's exposure score, in tenths: 0 is fully restricted, 100 unrestricted. */
const exposureMax = "35";

const variables = new Set<string>(Object.values(orchestratorOptions).map((option) => option.environment));

test("the systemd unit is valid, hardened, and a stop leaves the guests to the next start", (context) => {
  const directory = mkdtempSync(join(tmpdir(), "solstice-unit-"));
  context.after(() => rmSync(directory, { recursive: true }));
  // The unit's command is not installed here; all else is checked unchanged.
  const command = join(directory, "solstice");
  writeFileSync(command, "#!/bin/sh\n");
  chmodSync(command, 0o755);
  const unit = read("deploy/systemd/solstice-orchestrator.service");
  const path = join(directory, "solstice-orchestrator.service");
  writeFileSync(path, unit.replace("ExecStart=solstice ", `ExecStart=${command} `));
  const complaints = execFileSync("sh", ["-c", 'systemd-analyze verify "$1" 2>&1', "sh", path], {
    encoding: "utf8",
  });
  assert.equal(complaints, "");
  execFileSync("systemd-analyze", ["security", "--offline=true", `--threshold=${exposureMax}`, path], {
    stdio: "ignore",
  });
  const setting = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(unit)?.[1];
  assert.deepEqual(["Type", "NotifyAccess", "KillSignal", "KillMode", "SuccessExitStatus"].map(setting), [
    "notify",
    "all",
    "SIGUSR2",
    "process",
    "SIGUSR2",
  ]);
  assert.equal(setting("ExecReload"), "kill -HUP $MAINPID");
  const stopMinutes = Number(/^(\d+)min$/.exec(setting("TimeoutStopSec") ?? "")?.[1]);
  assert.ok(stopMinutes * 60_000 > handOverMaxMs, `${stopMinutes} min are not enough for a hand-over`);
  const ownSetting = /^# .*KillSignal=SIGTERM, TimeoutStopSec=(\d+)min/m;
  const forGood = /KillSignal=SIGTERM\\nTimeoutStopSec=(\d+)min/;
  const drainMinutes = Number(/^(\d+)m$/.exec(orchestratorOptions.drainTimeout.defaultText)?.[1]);
  for (const minutes of [ownSetting.exec(unit)?.[1], forGood.exec(read("packaging/deb/prerm"))?.[1]])
    assert.ok(
      Number(minutes) > drainMinutes,
      `${minutes} min are not enough for a drain of ${drainMinutes} min`,
    );
});

test("the files for systemd name only variables that exist", () => {
  const unit = read("deploy/systemd/solstice-orchestrator.service");
  const example = read("deploy/systemd/orchestrator.env.example");
  const named = [
    ...[...unit.matchAll(/^Environment=([A-Z_]+)=/gm)].map((match) => match[1] ?? ""),
    ...[...example.matchAll(/^#?([A-Z_]+)=/gm)].map((match) => match[1] ?? ""),
  ].filter((name) => name !== "NODE_COMPILE_CACHE");
  assert.ok(named.length >= 6, `only ${named.length} were found`);
  for (const name of named) assert.ok(variables.has(name), `${name} is no variable of the orchestrator`);
});

test("compose.yaml pins its images, publishes ports on loopback only, and contains no password", () => {
  const { services } = parse(read("deploy/compose.yaml")) as {
    services: Record<
      string,
      { image: string; ports: string[]; environment: Record<string, string>; healthcheck: object }
    >;
  };
  assert.deepEqual(Object.keys(services).sort(), ["postgres", "rabbitmq"]);
  for (const [name, service] of Object.entries(services)) {
    assert.match(service.image, /:\d+\.\d+/, `${name} is not pinned`);
    for (const port of service.ports)
      assert.match(port, /^(127\.0\.0\.1|\$\{SOLSTICE_BIND_ADDRESS:-127\.0\.0\.1\}):/);
    assert.ok(service.healthcheck, `${name} has no health check`);
    for (const [key, value] of Object.entries(service.environment)) {
      if (key.includes("PASS")) assert.match(value, /^\$\{[A-Z_]+:\?/, `${key} is not required`);
    }
  }
  const example = read("deploy/env.example");
  for (const [, name] of read("deploy/compose.yaml").matchAll(/\$\{([A-Z_]+)/g)) {
    assert.match(example, new RegExp(`^${name}=`, "m"), `${name} is not in env.example`);
  }
});

test("each alarm has its section in the operations page, and each section its alarm", () => {
  const { groups } = parse(read("deploy/prometheus-alerts.yaml")) as {
    groups: { rules: { alert: string; expr: string }[] }[];
  };
  const alarms = groups.flatMap((group) => group.rules.map((rule) => rule.alert));
  const sections = [...read("docs/reference/operations.md").matchAll(/^### (Solstice\w+)$/gm)].map(
    (match) => match[1],
  );
  assert.deepEqual(sections, alarms);
});

test("each metric of the alarms exists in orchestrators", () => {
  const source = `${read("src/http/metrics.ts")}`;
  const expressions = [...read("deploy/prometheus-alerts.yaml").matchAll(/\bsolstice_\w+/g)].map(
    (match) => match[0],
  );
  for (const metric of new Set(expressions))
    assert.ok(source.includes(`"${metric}"`), `${metric} does not exist`);
});
