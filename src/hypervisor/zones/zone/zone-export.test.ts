import assert from "node:assert/strict";
import { test } from "node:test";
import { parseZoneExport } from "./zone-export.ts";

const exported = `create -b
set zonepath=/zones/job-0001
set brand=bhyve
set autoboot=false
set ip-type=exclusive
add fs
set dir="/seed.iso"
set special="/seed.iso"
set type="lofs"
add options ro
add options nodevices
end
add net
set physical="sol1a2b3c0"
end
add attr
set name="solstice-owner"
set type="string"
set value="owner-1"
end
add attr
set name=extra
set type=string
set value="-l com2,socket,/tmp/vm.com2"
end
`;

test("attributes and the link are read, with and without quotation marks", () => {
  const { attributes, link } = parseZoneExport(exported);
  assert.deepEqual(Object.fromEntries(attributes), {
    "solstice-owner": "owner-1",
    extra: "-l com2,socket,/tmp/vm.com2",
  });
  assert.equal(link, "sol1a2b3c0");
});

test("a zone without attributes, and any other text, have no attributes", () => {
  assert.equal(parseZoneExport("create -b\nset zonepath=/z\n").attributes.size, 0);
  assert.deepEqual([...parseZoneExport("job-1: No such zone configured\n").attributes], []);
});

test("the text of a value cannot imitate another attribute", () => {
  const text =
    'add attr\nset name=note\nset type=string\nset value="end; add attr; set name=solstice-owner"\nend\n';
  assert.deepEqual([...parseZoneExport(text).attributes.keys()], ["note"]);
});
