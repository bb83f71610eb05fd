import assert from "node:assert/strict";
import { test } from "node:test";
import { parseZoneList } from "./zone-list.ts";

test("zones are parsed by position, whatever fields follow", () => {
  const text = `0:global:running:/::ipkg:shared:0
-:job-0001:configured:/zones/job-0001::bhyve:excl
7:job-0002:running:/zones/job-0002:a1b2:bhyve:excl:12
`;
  assert.deepEqual(parseZoneList(text), [
    { name: "global", state: "running", path: "/", brand: "ipkg" },
    { name: "job-0001", state: "configured", path: "/zones/job-0001", brand: "bhyve" },
    { name: "job-0002", state: "running", path: "/zones/job-0002", brand: "bhyve" },
  ]);
});

test("a colon and a backslash in a path are escaped", () => {
  const [zone] = parseZoneList("-:z:installed:/a\\:b\\\\c::lipkg:shared\n");
  assert.equal(zone?.path, "/a:b\\c");
});

test("every state of zoneadm(8) is supported; a new one is unknown, and an incomplete line is skipped", () => {
  const states = "configured incomplete installed ready mounted running shutting_down down".split(" ");
  const text = states.map((state) => `-:z-${state}:${state}:/z::bhyve:excl`).join("\n");
  assert.deepEqual(
    parseZoneList(text).map(({ state }) => state),
    states,
  );
  assert.equal(parseZoneList("-:z:hibernating:/z::bhyve:excl")[0]?.state, "unknown");
  assert.deepEqual(parseZoneList("\nzoneadm: odd\n-:z:installed\n"), []);
});
