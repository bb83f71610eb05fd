import assert from "node:assert/strict";
import { test } from "node:test";
import { isSolsticeError } from "../core/errors.ts";
import { silentLog } from "../core/log.ts";
import { imageMapOf } from "../images/testing/fixtures.ts";
import { chooseHypervisor, createHypervisor } from "./router.ts";

const answers = async () => null;
const silent = async () => "no daemon answered.";
const notAsked = async () => assert.fail("libvirt must not be probed");

test("a backend that is requested by name is used without a probe", async () => {
  for (const name of ["libvirt", "zones", "noop"] as const) {
    assert.equal(await chooseHypervisor(name, { platform: "sunos", whyNoLibvirt: notAsked }), name);
  }
});

test("auto chooses libvirt when it answers, on Linux and elsewhere", async () => {
  for (const platform of ["linux", "freebsd"] as const) {
    assert.equal(await chooseHypervisor("auto", { platform, whyNoLibvirt: answers }), "libvirt");
  }
});

test("auto never chooses noop; its error has the reason and the packages to install", async () => {
  await assert.rejects(chooseHypervisor("auto", { platform: "linux", whyNoLibvirt: silent }), (error) => {
    assert.ok(isSolsticeError(error, "hypervisor_unavailable"));
    assert.match(error.message, /no daemon answered/);
    assert.match(error.remedy ?? "", /setup-host\.sh/);
    return true;
  });
});

test("on illumos auto chooses zones, without probing libvirt", async () => {
  assert.equal(await chooseHypervisor("auto", { platform: "sunos", whyNoLibvirt: notAsked }), "zones");
});

test("the error for a missing libvirt has its socket", async () => {
  const config = {
    hypervisor: "auto",
    libvirtUri: "qemu+unix:///system?socket=/nonexistent/libvirt-sock",
    libvirtNetwork: "default",
    libvirtVirtType: "qemu",
    dataDir: "/nonexistent",
    diskReserveBytes: 0,
    imageMap: imageMapOf(),
    firewall: "on",
    guestLanAccess: [],
    guestHostPorts: [],
    noop: { runner: "delay", delayMs: 0 },
    zones: {
      pool: "rpool/solstice",
      link: "solstice_stub0",
      vnic: "solstice0",
      subnet: { address: "10.88.0.0", prefix: 24 },
      gateway: "10.88.0.1",
      addresses: { first: "10.88.0.2", last: "10.88.0.9" },
      nameservers: null,
    },
    imageRetentionSeconds: 0,
  } as const;
  const log = silentLog;
  const writeSeed = async () => {};
  await assert.rejects(createHypervisor({ config, ownerId: "test", log, writeSeed }), {
    code: "hypervisor_unavailable",
    message: /nonexistent\/libvirt-sock/,
  });
  const zones = await createHypervisor({
    ...{ config: { ...config, hypervisor: "zones" }, ownerId: "test", log, writeSeed },
  });
  assert.equal(zones.backend, "zones");
  await assert.rejects(zones.connect(), { code: "hypervisor_unavailable", message: /no zoneadm/ });
  const noop = await createHypervisor({
    config: { ...config, hypervisor: "noop" },
    ownerId: "test",
    log,
    writeSeed,
  });
  assert.equal(noop.backend, "noop");
});
