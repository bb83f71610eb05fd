import assert from "node:assert/strict";
import { test } from "node:test";
import { shownUrl } from "./shown-url.ts";

test("a URL is shown without credentials: user, password, query and fragment", () => {
  for (const [url, shown] of [
    ["https://h.example/a/b.img", "https://h.example/a/b.img"],
    ["http://u:pw@127.0.0.1:9/img.qcow2?X-Amz-Signature=SECRETSIG&sv=1", "http://127.0.0.1:9/img.qcow2?***"],
    ["https://token@h.example/x#sig=SECRETSIG", "https://h.example/x#***"],
    ["https://u:p@w@h.example?x", "https://h.example?***"],
    ["https://u:pw@[::1]:99999/x?\nsig", "https://[::1]:99999/x?***"],
    ["/srv/images/a?b#c", "/srv/images/a?b#c"],
  ]) {
    assert.equal(shownUrl(url ?? ""), shown);
  }
});
