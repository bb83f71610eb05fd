import assert from "node:assert/strict";
import { test } from "node:test";
import { firewallOptions } from "./firewall-options.ts";

const { guestLanAccess, guestHostPorts, firewall } = firewallOptions;

test("the firewall is on unless it is set to off", () => {
  assert.equal(firewall.defaultText, "on");
  assert.ok("expected" in firewall.parse("no"));
});

test("ranges are parsed, sorted and made unique; other texts are refused with the valid form", () => {
  const lan = guestLanAccess.parse("192.168.7.9, 10.1.2.0/24,10.1.0.0/16");
  assert.deepEqual(lan, { value: ["10.1.0.0/16", "192.168.7.9"] });
  for (const text of ["", "10.1.2.3/16", "10.0.0.0/8,", "fd00::/8", "host", "10.0.0.0/8 10.1.0.0/16"]) {
    const answer = guestLanAccess.parse(text);
    assert.ok("expected" in answer && /such as 10\.1\.2\.3 or 10\.1\.0\.0\/16/.test(answer.expected), text);
  }
  assert.ok("expected" in guestLanAccess.parse(Array(101).fill("10.0.0.1").join(",")));
});

test("ports are whole numbers from 1 to 65535, 32 at most", () => {
  assert.deepEqual(guestHostPorts.parse("8080, 22,8080"), { value: [22, 8080] });
  for (const text of ["", "0", "65536", "http", "1-5", "80,", Array(33).fill("80").join(",")]) {
    assert.ok("expected" in guestHostPorts.parse(text), text);
  }
});
