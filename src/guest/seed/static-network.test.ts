import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parse } from "yaml";
import { runCommand } from "../../host/command.ts";
import { metadataAgentFiles, noCloudFiles } from "./seed-files.ts";
import { buildSeedScript } from "./seed-script.ts";
import { illumosNetworkScript, networkConfigVersion1, networkConfigVersion2 } from "./static-network.ts";

const network = {
  macAddress: "02:08:20:00:0a:07",
  address: "10.88.0.10",
  prefix: 24,
  gateway: "10.88.0.1",
  nameservers: ["9.9.9.9", "1.1.1.1"],
};

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "solstice-network-"));
});
after(() => rm(directory, { recursive: true }));

test("version 1 has the static address, and only keys that metadata-agent supports", () => {
  assert.deepEqual(parse(networkConfigVersion1(network)), {
    version: 1,
    config: [
      {
        type: "physical",
        name: "net0",
        mac_address: "02:08:20:00:0a:07",
        subnets: [
          {
            type: "static",
            address: "10.88.0.10/24",
            gateway: "10.88.0.1",
            dns_nameservers: ["9.9.9.9", "1.1.1.1"],
          },
        ],
      },
    ],
  });
});

test("version 2 selects the card by its hardware address, which YAML must not read as a number", () => {
  const digits = { ...network, macAddress: "02:01:02:03:00:07" };
  assert.deepEqual(parse(networkConfigVersion2(digits), { version: "1.1" }), {
    version: 2,
    ethernets: {
      net0: {
        match: { macaddress: "02:01:02:03:00:07" },
        addresses: ["10.88.0.10/24"],
        gateway4: "10.88.0.1",
        nameservers: { addresses: ["9.9.9.9", "1.1.1.1"] },
      },
    },
  });
});

test("without nameservers each version has an empty list", () => {
  const without = { ...network, nameservers: [] };
  assert.deepEqual(parse(networkConfigVersion2(without)).ethernets.net0.nameservers, { addresses: [] });
  assert.deepEqual(parse(networkConfigVersion1(without)).config[0].subnets[0].dns_nameservers, []);
});

const seed = {
  metaData: '{"instance-id":"a-1","local-hostname":"job-a"}\n',
  userData: buildSeedScript({ files: [], boot: "/x/boot.sh", mark: "/x/mark" }),
};

test("a FAT image has the document as version 1, and an archive has it in its script", () => {
  const [, , fat] = noCloudFiles({ ...seed, network });
  assert.deepEqual(fat, { name: "network-config", content: networkConfigVersion1(network) });
  const [, config, script] = metadataAgentFiles({ ...seed, network });
  assert.deepEqual(config, { name: "config.toml", content: "[network]\nskip = true\n" });
  assert.ok(script?.content.includes(illumosNetworkScript(network)));
  assert.deepEqual(
    metadataAgentFiles(seed).map(({ name }) => name),
    ["nodename", "firstboot.sh"],
  );
});

/** Commands of illumos that record their calls and report earlier ones: enough for the script's own logic. */
const command = `#!/bin/sh
cd "\${0%/*}"
echo "\${0##*/} $*" >>calls
case "\${0##*/} $1" in
  "dladm show-phys") printf '%s\\n' 'e1000g0:2\\:8\\:20\\:0\\:a\\:6' 'vioif0:2\\:8\\:20\\:0\\:a\\:7' ;;
  "ipadm show-if" | "ipadm show-addr") grep -q "^ipadm create-\${1#show-} .*$2$" calls ;;
  "route -n") sed -n 's/^route add default/    gateway:/p' calls ;;
esac
`;

test("the script finds the card, gives it its address once, and may run again", async () => {
  for (const name of ["dladm", "ipadm", "route"]) {
    await writeFile(join(directory, name), command);
    await chmod(join(directory, name), 0o755);
  }
  const resolvConf = join(directory, "resolv.conf");
  const text = illumosNetworkScript(network).replace("/etc/resolv.conf", resolvConf);
  const script = join(directory, "script");
  await writeFile(script, `PATH=${directory}:$PATH\nfail() { echo "$*"; exit 1; }\n${text}`);
  for (const shell of ["dash", "ksh93"]) {
    await writeFile(join(directory, "calls"), "");
    for (let run = 0; run < 2; run++) await runCommand(shell, [script]);
    const calls = (await readFile(join(directory, "calls"), "utf8")).split("\n");
    assert.deepEqual(
      calls.filter((call) => /create|add default/.test(call)),
      [
        "ipadm create-if vioif0",
        "ipadm create-addr -T static -a 10.88.0.10/24 vioif0/v4",
        "route add default 10.88.0.1",
      ],
    );
    assert.equal(await readFile(resolvConf, "utf8"), "nameserver 9.9.9.9\nnameserver 1.1.1.1\n");
  }
  await writeFile(
    script,
    (await readFile(script, "utf8")).replaceAll("02:08:20:00:0a:07", "02:08:20:00:0a:99"),
  );
  const { stdout } = await runCommand("dash", [script], { acceptExitCodes: [1] });
  assert.match(stdout, /no network card has the address 02:08:20:00:0a:99/);
});
