import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeConfinement, judgeHostFirewall } from "./isolation-checks.ts";
import { judgeReach } from "./reach-checks.ts";

const input = { family: "ip", table: "filter", name: "INPUT", hook: "input" };

test("a host firewall that accepts by default is ok", () => {
  assert.equal(judgeHostFirewall([{ ...input, policy: "accept" }], 7411).status, "ok");
  assert.equal(judgeHostFirewall([{ ...input, family: "ip6", policy: "drop" }], 7411).status, "ok");
});

test("ufw, firewalld and others are named, with the command that opens the runner's port", () => {
  const drop = { ...input, policy: "drop" };
  assert.match(judgeHostFirewall([drop], 7411).detail, /INPUT of ip filter.*7411/);
  const ufw = judgeHostFirewall([drop, { family: "ip", table: "filter", name: "ufw-before-input" }], 7500);
  assert.match(ufw.remedy ?? "", /^ufw allow in on virbr0 to any port 7500 proto tcp/);
  const firewalld = judgeHostFirewall([{ ...input, table: "firewalld", policy: "accept" }], 7411);
  assert.match(firewalld.remedy ?? "", /^firewall-cmd --permanent --zone=libvirt --add-port=7411\/tcp/);
});

test("guests' network access: what the settings open, and each closed repository on a line", () => {
  const none = judgeReach({ guestLanAccess: [], guestHostPorts: [] }, []);
  assert.equal(none.status, "ok");
  assert.match(none.detail, /own networks nothing \(GUEST_LAN_ACCESS\).*DHCP, DNS \(GUEST_HOST_PORTS\)/);
  const some = judgeReach({ guestLanAccess: ["10.1.0.0/16"], guestHostPorts: [80, 9418] }, [
    "a\u001b[2J",
    "b",
  ]);
  assert.equal(some.status, "warn");
  assert.match(some.detail, /10\.1\.0\.0\/16.*TCP port 80, 9418.*\na\ufffd\[2J\nb$/);
});

test("QEMU's confinement: by AppArmor or SELinux, by its user only, or not at all", () => {
  const dac = (user: string) =>
    `<secmodel><model>dac</model><doi>0</doi><baselabel type='kvm'>${user}</baselabel></secmodel>`;
  const apparmor = "<secmodel>\n<model>apparmor</model></secmodel>";
  assert.equal(judgeConfinement(apparmor + dac("+64055:+64055")).status, "ok");
  assert.match(judgeConfinement(dac("+64055:+64055")).detail, /without AppArmor or SELinux.*dac/);
  assert.match(judgeConfinement(apparmor + dac("+0:+0")).detail, /as root/);
});
