import assert from "node:assert/strict";
import { test } from "node:test";
import { parseProperties } from "./datasets.ts";

test("only a dataset's own properties count: children inherit the mark although they are not ours", () => {
  const text = [
    "tank/s/disks/job-1\tsolstice:owner\tme\tlocal",
    "tank/s/disks/job-1\tvolsize\t1048576\tlocal",
    "tank/s/disks/job-2\tsolstice:owner\tme\tinherited from tank/s",
    "tank/s/disks/job-2\tsolstice:job\t-\t-",
    "tank/s/disks/job-3\torigin\ttank/s/images/a@ready\t-",
    "",
  ].join("\n");
  const found = parseProperties(text).map(({ name, properties }) => [name, Object.fromEntries(properties)]);
  assert.deepEqual(found, [
    ["tank/s/disks/job-1", { "solstice:owner": "me", volsize: "1048576" }],
    ["tank/s/disks/job-2", {}],
    ["tank/s/disks/job-3", { origin: "tank/s/images/a@ready" }],
  ]);
});
