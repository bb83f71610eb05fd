import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLibvirtUri } from "./uri.ts";

test("a system URI tries the driver's daemon, then the monolithic one", () => {
  assert.deepEqual(parseLibvirtUri("qemu:///system"), {
    driverUri: "qemu:///system",
    socketPaths: [
      "/run/libvirt/virtqemud-sock",
      "/run/libvirt/libvirt-sock",
      "/var/run/libvirt/virtqemud-sock",
      "/var/run/libvirt/libvirt-sock",
    ],
  });
});

test("a session URI uses the given runtime directory", () => {
  assert.deepEqual(parseLibvirtUri("qemu:///session", "/run/user/7").socketPaths, [
    "/run/user/7/libvirt/virtqemud-sock",
    "/run/user/7/libvirt/libvirt-sock",
  ]);
  assert.throws(() => parseLibvirtUri("qemu:///session"), /needs the user's runtime directory/);
});

test("a socket in the URI is the only one tried, and is not sent to the daemon", () => {
  assert.deepEqual(parseLibvirtUri("qemu+unix:///system?socket=/tmp/a%20b"), {
    driverUri: "qemu:///system",
    socketPaths: ["/tmp/a b"],
  });
});

test("an unsupported URI is rejected with the reason", () => {
  for (const uri of ["qemu+ssh://host/system", "qemu://host/system", "qemu", "", "QEMU:///system"]) {
    assert.throws(() => parseLibvirtUri(uri), /Only local URIs/, uri);
  }
  assert.throws(() => parseLibvirtUri("qemu:///system?keyfile=x"), /"keyfile" is not supported/);
  assert.throws(() => parseLibvirtUri("qemu:///system?socket=relative"), /absolute path/);
});
