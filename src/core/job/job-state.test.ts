import assert from "node:assert/strict";
import { test } from "node:test";
import {
  activeStates,
  finalStates,
  isActive,
  isFinal,
  type JobState,
  jobEvents,
  jobStates,
  transition,
  transitions,
} from "./job-state.ts";

const pairs = jobStates.flatMap((state) => jobEvents.map((event) => ({ state, event })));

function nextStates(state: JobState): JobState[] {
  return jobEvents
    .map((event) => transition(state, event))
    .filter((answer) => answer !== "ignore" && answer !== "refuse");
}

function reachable(from: JobState): Set<JobState> {
  const seen = new Set<JobState>([from]);
  for (const state of seen) for (const next of nextStates(state)) seen.add(next);
  return seen;
}

test("the table has every state with every event, and nothing else", () => {
  assert.deepEqual(Object.keys(transitions), [...jobStates]);
  for (const state of jobStates) {
    assert.deepEqual(Object.keys(transitions[state]).sort(), [...jobEvents].sort());
  }
  const answers = new Set<string>([...jobStates, "ignore", "refuse"]);
  for (const { state, event } of pairs) assert.ok(answers.has(transition(state, event)), `${state} ${event}`);
});

test("a final state never changes", () => {
  for (const state of finalStates) assert.deepEqual(nextStates(state), []);
});

test("every state that is not final leads to every final state, and never to itself", () => {
  for (const state of jobStates.filter((one) => !isFinal(one))) {
    const reached = reachable(state);
    for (const end of finalStates) assert.ok(reached.has(end), `${state} never becomes ${end}`);
    assert.ok(!nextStates(state).includes(state));
  }
});

test("every state can be reached from queued", () => {
  assert.deepEqual([...reachable("queued")].sort(), [...jobStates].sort());
});

test("only a claim moves a queued job to work, and only a queued job can be claimed", () => {
  const claimable = jobStates.filter((state) => transition(state, "claim") !== "refuse");
  assert.deepEqual(claimable, ["queued"]);
  assert.deepEqual(nextStates("queued").filter(isActive), ["provisioning"]);
});

test("a job that may own a machine ends only by way of finalizing", () => {
  for (const state of activeStates.filter((one) => one !== "finalizing")) {
    assert.deepEqual(nextStates(state).filter(isFinal), []);
    assert.equal(transition(state, "conclude"), "finalizing");
  }
  const backToQueue = jobStates.filter((state) => nextStates(state).includes("queued"));
  assert.deepEqual(backToQueue, ["finalizing"]);
});

test("a settle event leads to the state that it names, or is refused", () => {
  for (const { state, event } of pairs) {
    if (!event.startsWith("settle_")) continue;
    const answer = transition(state, event);
    assert.ok(answer === "refuse" || `settle_${answer}` === event, `${state} ${event}`);
  }
});

test("a repeated event is harmless", () => {
  for (const [state, event] of [
    ["booting", "boot"],
    ["running", "start"],
    ["finalizing", "conclude"],
    ["queued", "requeue"],
  ] as const) {
    assert.equal(transition(state, event), "ignore");
  }
});

test("every state is either waiting, active or final", () => {
  for (const state of jobStates) {
    assert.equal(Number(state === "queued") + Number(isActive(state)) + Number(isFinal(state)), 1, state);
  }
});
