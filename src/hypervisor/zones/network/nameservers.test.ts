import assert from "node:assert/strict";
import { test } from "node:test";
import { nameserversOf } from "./nameservers.ts";

test("at most three nameservers are read from a resolv.conf, without those that only the host can reach", () => {
  const text =
    "domain a\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver ::1\n nameserver 192.0.2.2 \n";
  assert.deepEqual(nameserversOf(text), ["192.0.2.1", "192.0.2.2"]);
  assert.equal(nameserversOf("nameserver 192.0.2.1\n".repeat(5)).length, 3);
  assert.deepEqual(nameserversOf(""), []);
});

test("only addresses are accepted, because they become words of a script in the guest", () => {
  const wrong = ["300.1.1.1", "192.0.2", "192.0.2.1;reboot", "$(id)", "dns.example"];
  assert.deepEqual(nameserversOf(wrong.map((word) => `nameserver ${word}\n`).join("")), []);
});
