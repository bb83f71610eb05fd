import assert from "node:assert/strict";
import { test } from "node:test";
import { poolAddress, poolSize } from "../mac-addresses.ts";
import { cardsAndClasses, classesOf } from "./egress-classes.ts";
import { egressCode, parseTapName, tapName } from "./tap-names.ts";

test("open and none always exist, and equal policies share a class", () => {
  const classes = classesOf(["open", ["10.0.0.0/8"], ["10.0.0.0/8"]]);
  assert.deepEqual(
    classes.map(({ egress }) => egress),
    ["open", "none", ["10.0.0.0/8"]],
  );
});

/** Finds two lists with the same four digits; among 65537 lists there must be two. */
function collidingLists(): [string[], string[]] {
  const byCode = new Map<string, string[]>();
  for (let number = 0; number <= 65_536; number += 1) {
    const list = [`10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`];
    const other = byCode.get(egressCode(list));
    if (other !== undefined) return [other, list];
    byCode.set(egressCode(list), list);
  }
  return assert.fail("the digest has more than four digits");
}

test("two lists with the same tap code are rejected", () => {
  assert.throws(() => classesOf(collidingLists()), { code: "config_invalid", remedy: /Change one of them/ });
});

test("a running guest whose policy is unknown keeps its card, and reaches only the runner endpoint", () => {
  const former = parseTapName("host-1", tapName("host-1", poolAddress("host-1", 3), ["10.0.0.0/8"]));
  assert.ok(former);
  const policies = { present: classesOf([]), meanings: new Map() };
  const { cards, classes } = cardsAndClasses("host-1", policies, [former]);
  assert.equal(cards.length, 2 * poolSize + 1);
  assert.deepEqual(cards.at(-1), { tap: former.name, macAddress: former.macAddress });
  assert.deepEqual(classes.at(-1), { code: former.egressCode, egress: "none" });
});

test("a guest whose policy was removed by a reload keeps the policy to its end", () => {
  const list = ["10.0.0.0/8"];
  const former = parseTapName("host-1", tapName("host-1", poolAddress("host-1", 3), list));
  assert.ok(former);
  const meanings = new Map(classesOf([list]).map(({ code, egress }) => [code, egress]));
  const { classes } = cardsAndClasses("host-1", { present: classesOf([]), meanings }, [former]);
  assert.deepEqual(classes.at(-1), { code: former.egressCode, egress: list });
  const ended = cardsAndClasses("host-1", { present: classesOf([]), meanings }, []);
  assert.deepEqual(ended.classes, classesOf([]), "without such a guest the policy is removed");
});
