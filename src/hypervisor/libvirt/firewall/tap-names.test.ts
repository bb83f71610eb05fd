import assert from "node:assert/strict";
import { test } from "node:test";
import { poolAddress } from "../mac-addresses.ts";
import { egressCode, parseTapName, tapName, tapPrefix } from "./tap-names.ts";

test("a tap's name fits into Linux' 15 characters, and is parsed back completely", () => {
  for (const egress of ["open", "none", ["10.0.0.0/8"]] as const) {
    for (const index of [0, 255]) {
      const macAddress = poolAddress("host-1", index);
      const name = tapName("host-1", macAddress, egress);
      assert.equal(name.length, 15);
      assert.deepEqual(parseTapName("host-1", name), { name, egressCode: egressCode(egress), macAddress });
    }
  }
});

test("foreign taps are recognised", () => {
  const foreign = tapName("host-2", poolAddress("host-2", 7), "open");
  for (const name of [foreign, "vnet0", "virbr0", tapPrefix("host-1"), `${tapPrefix("host-1")}open0`]) {
    assert.equal(parseTapName("host-1", name), null, name);
  }
});

test("names do not begin with a prefix that libvirt reserves", () => {
  assert.doesNotMatch(tapPrefix("host-1"), /^(vnet|vif|macvtap|macvlan)/);
});
