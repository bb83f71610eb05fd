import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openStandIn, type StandIn } from "./stand-in.ts";
import { must, refuses } from "./testing.ts";

let standIn: StandIn;
before(async () => {
  standIn = await openStandIn();
  await must(standIn, "dladm", "create-etherstub", "stub0");
  await must(standIn, "dladm", "create-vnic", "-t", "-l", "stub0", "-m", "2:8:20:0:0:7", "ci7");
});
after(() => standIn.close());

const dladm = (args: string, ...expected: (string | number)[]) =>
  refuses(standIn, ["dladm", ...args.split(" ")], ...expected);

test("dladm refuses with its own messages", async () => {
  await dladm("show-vnic none0", 1, "dladm: invalid vnic name 'none0': object not found");
  await dladm("show-link none0", 1, "dladm: link none0 is not valid: object not found");
  await dladm("delete-vnic none0", 1, "dladm: invalid link name 'none0'");
  await dladm("delete-vnic stub0", 1, "dladm: 'stub0' is not a vnic");
  await dladm("delete-etherstub ci7", 1, "dladm: 'ci7' is not an etherstub");
  await dladm("delete-etherstub stub0", 1, "dladm: vnic deletion failed: link busy");
  await dladm("create-vnic -l stub0 ci7", 1, "dladm: vnic creation over stub0 failed: object already exists");
  await dladm("create-vnic -l none0 ci8", 1, "dladm: invalid link name 'none0'");
  await dladm("create-vnic -l stub0 ci", 1, "dladm: invalid link name 'ci'");
  await dladm("create-vnic -l stub0 7ci7", 1, "dladm: invalid link name '7ci7'");
  await dladm("create-vnic -l stub0 ci07", 1, "dladm: invalid link name 'ci07'");
  await dladm(`create-vnic -l stub0 ${"a".repeat(31)}7`, 1, `dladm: link name too long '${"a".repeat(31)}7'`);
  await dladm("create-vnic -l stub0 -m nonsense ci8", 1, "dladm: invalid MAC address");
  await dladm(
    "create-vnic -l stub0 -m 1:0:0:0:0:1 ci8",
    1,
    "dladm: vnic creation over stub0 failed: invalid MAC address value",
  );
  await dladm(
    "create-vnic -l stub0 -m 2:8:20:0:0:7 ci8",
    1,
    "dladm: vnic creation over stub0 failed: MAC address in use",
  );
  await dladm("create-etherstub stub0", 1, "dladm: etherstub creation failed: object already exists");
  await dladm(
    "set-linkprop -p protection=all ci7",
    1,
    "dladm: link property 'protection' must be one of: mac-nospoof,restricted,ip-nospoof,dhcp-nospoof",
  );
  await dladm("set-linkprop -p nonsense=1 ci7", 1, "dladm: invalid link property 'nonsense'");
  await dladm("set-linkprop -p mtu=1500 none0", 1, "dladm: link none0 is not valid: object not found");
  await dladm("show-vnic -p", 1, "dladm: output field list (-o) required in parsable output mode");
});

test("output to parse: colons are escaped when there are several fields", async () => {
  assert.equal(
    await must(standIn, "dladm", "show-vnic", "-p", "-o", "link,over,macaddress", "ci7"),
    "ci7:stub0:2\\:8\\:20\\:0\\:0\\:7\n",
  );
  assert.equal(await must(standIn, "dladm", "show-vnic", "-p", "-o", "macaddress", "ci7"), "2:8:20:0:0:7\n");
  assert.equal(await must(standIn, "dladm", "show-etherstub", "-p", "-o", "link"), "stub0\n");
  assert.equal(
    await must(standIn, "dladm", "show-link", "-p", "-o", "link,class,over"),
    "ci7:vnic:stub0\nigb0:phys:\nstub0:etherstub:\n",
  );
});

test("properties: several in one -p; after a comma, a text without `=` is another value of the last property", async () => {
  await must(
    standIn,
    "dladm",
    "set-linkprop",
    "-t",
    "-p",
    "protection=mac-nospoof,ip-nospoof,allowed-ips=10.0.0.7",
    "ci7",
  );
  const shown = await must(
    standIn,
    "dladm",
    "show-linkprop",
    "-c",
    "-o",
    "property,value",
    "-p",
    "protection,allowed-ips",
    "ci7",
  );
  assert.equal(shown, "protection:mac-nospoof,ip-nospoof\nallowed-ips:10.0.0.7\n");
});

test("a host that reboots has lost temporary settings and kept the others", async () => {
  await must(standIn, "dladm", "create-vnic", "-l", "stub0", "host0");
  await must(standIn, "ipadm", "create-if", "host0");
  await must(standIn, "ipadm", "create-addr", "-T", "static", "-a", "10.0.0.1/24", "host0/v4");
  await standIn.rebootHost();
  assert.deepEqual(
    standIn.links().map(({ name }) => name),
    ["host0", "igb0", "stub0"],
  );
  assert.equal(
    await must(standIn, "ipadm", "show-addr", "-p", "-o", "addrobj,addr"),
    "lo0/v4:127.0.0.1/8\nhost0/v4:10.0.0.1/24\n",
  );
  await refuses(standIn, ["dladm", "delete-vnic", "host0"], 1, "dladm: vnic deletion failed: link busy");
});
