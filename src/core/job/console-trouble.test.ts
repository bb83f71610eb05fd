import assert from "node:assert/strict";
import { test } from "node:test";
import { explainWithConsole, findTrouble } from "./console-trouble.ts";
import { verdict } from "./verdict.ts";

const linuxPanic = `[   12.690012] sysrq: Trigger a crash\r
[   12.690581] Kernel panic - not syncing: sysrq triggered crash\r
[   12.691035] CPU: 0 PID: 1 Comm: sh Not tainted 6.1.0-37-cloud-amd64 #1\r
[   12.693961] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---`;

const linuxMemory = `[   41.1] python3 invoked oom-killer: gfp_mask=0x140dca, order=0, oom_score_adj=0
[   41.2] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=python3,pid=812,uid=0
[   41.3] Out of memory: Killed process 812 (python3) total-vm:904512kB, anon-rss:803112kB, file-rss:0kB`;

const consoles = [
  { name: "Linux, panic", text: linuxPanic, panic: "sysrq triggered crash", memoryKill: null },
  {
    name: "Linux, init killed",
    text: "[    1.9] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100",
    panic: "Attempted to kill init! exitcode=0x00000100",
    memoryKill: null,
  },
  {
    name: "Linux, no root",
    text: "[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
    panic: "VFS: Unable to mount root fs on unknown-block(0,0)",
    memoryKill: null,
  },
  { name: "Linux, memory", text: linuxMemory, panic: null, memoryKill: "process 812 (python3)" },
  {
    name: "Linux, the summary alone",
    text: linuxMemory.split("\n")[1] ?? "",
    panic: null,
    memoryKill: "process 812 (python3)",
  },
  {
    name: "Linux before 5.2",
    text: "[ 9.0] Out of memory: Kill process 1234 (java) score 912 or sacrifice child",
    panic: null,
    memoryKill: "process 1234 (java)",
  },
  {
    name: "Linux, a control group",
    text: "[ 9.0] Memory cgroup out of memory: Killed process 77 (cc1plus) total-vm:1kB",
    panic: null,
    memoryKill: "process 77 (cc1plus)",
  },
  {
    name: "Linux, the last of several, then a panic",
    text: `${linuxMemory}\n[ 42] Out of memory: Killed process 9 (sh) total-vm:1kB\n[ 43] Kernel panic - not syncing: System is deadlocked on memory`,
    panic: "System is deadlocked on memory",
    memoryKill: "process 9 (sh)",
  },
  {
    name: "illumos",
    text: `\npanic[cpu0]/thread=fffffe000d605c20: BAD TRAP: type=e (#pf Page fault) rp=fffffe000d605960 addr=20\n\nfffffe000d605830 unix:die+c6 ()`,
    panic: "BAD TRAP: type=e (#pf Page fault) rp=fffffe000d605960 addr=20",
    memoryKill: null,
  },
  {
    name: "FreeBSD",
    text: "Fatal trap 12: page fault while in kernel mode\ncpuid = 1; apic id = 01\npanic: page fault\ncpuid = 1",
    panic: "page fault",
    memoryKill: null,
  },
  {
    name: "FreeBSD, memory",
    text: "pid 1071 (clang), jid 0, uid 0, was killed: failed to reclaim memory",
    panic: null,
    memoryKill: "process 1071 (clang)",
  },
  {
    name: "a healthy boot",
    text: "[ 0.0] Command line: console=ttyS0 panic=-1 oops=panic\n[ 0.3] Memory: 90M\nlogin: don't panic: it boots",
    panic: null,
    memoryKill: null,
  },
];

for (const { name, text, ...expected } of consoles) {
  test(`trouble on a console: ${name}`, () => assert.deepEqual(findTrouble(text), expected));
}

test("a panic explains a guest that stopped responding, and has its own reason", () => {
  const trouble = findTrouble(linuxPanic);
  const silent = explainWithConsole(verdict("runner_silent", "No heartbeat for 60 s."), trouble);
  assert.deepEqual(silent, verdict("guest_crashed", "The guest's kernel panicked: sysrq triggered crash."));
  const late = explainWithConsole(verdict("job_timeout", "The job took longer than 5m."), trouble);
  assert.equal(late.reason, "job_timeout");
  assert.match(late.message, /^The job took longer than 5m\. The guest's kernel panicked: /);
});

test("a step that the kernel killed stays the job's own failure, and the message has the cause", () => {
  const failed = verdict("step_failed", 'Step "test" exited with code 137.', 137);
  const message = `${failed.message} The guest ran out of memory: its kernel killed process 812 (python3).`;
  assert.deepEqual(explainWithConsole(failed, findTrouble(linuxMemory)), { ...failed, message });
  assert.deepEqual(explainWithConsole(failed, findTrouble("")), failed);
});

test("a guest's own text is quoted in one short line, without control characters", () => {
  const { panic } = findTrouble(`Kernel panic - not syncing: \u001b[2J${"x".repeat(1000)}`);
  assert.equal(panic, `[2J${"x".repeat(157)}`);
});
