import assert from "node:assert/strict";
import { test } from "node:test";
import { urlForOthers } from "./host-facts.ts";

test("other hosts receive an API URL only if it reaches this machine from there", () => {
  assert.equal(urlForOthers("http://10.0.0.7:7410", "two"), "http://10.0.0.7:7410");
  assert.equal(urlForOthers("http://[2001:db8::1]:7410", "two"), "http://[2001:db8::1]:7410");
  for (const url of ["http://127.0.0.1:7410", "http://localhost:7410", "http://[::1]:7410"])
    assert.equal(urlForOthers(url, "two"), null);
  assert.equal(urlForOthers("http://0.0.0.0:7410", "two"), "http://two:7410");
  assert.equal(urlForOthers("http://[::]:7410", "two"), "http://two:7410");
});
