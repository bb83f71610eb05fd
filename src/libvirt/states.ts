/** Names of the numbers in libvirt-domain.h. The position is the number, so an entry never moves. */

const domainStates = [
  "no_state",
  "running",
  "blocked",
  "paused",
  "shutdown",
  "shutoff",
  "crashed",
  "pm_suspended",
] as const;

const stateReasons = {
  no_state: ["unknown"],
  running: [
    "unknown",
    "booted",
    "migrated",
    "restored",
    "from_snapshot",
    "unpaused",
    "migration_canceled",
    "save_canceled",
    "wakeup",
    "crashed",
    "postcopy",
    "postcopy_failed",
  ],
  blocked: ["unknown"],
  paused: [
    "unknown",
    "user",
    "migration",
    "save",
    "dump",
    "io_error",
    "watchdog",
    "from_snapshot",
    "shutting_down",
    "snapshot",
    "crashed",
    "starting_up",
    "postcopy",
    "postcopy_failed",
  ],
  shutdown: ["unknown", "user"],
  shutoff: [
    "unknown",
    "shutdown",
    "destroyed",
    "crashed",
    "migrated",
    "saved",
    "failed",
    "from_snapshot",
    "daemon",
  ],
  crashed: ["unknown", "panicked"],
  pm_suspended: ["unknown"],
} as const;

const lifecycleEvents = [
  "defined",
  "undefined",
  "started",
  "suspended",
  "resumed",
  "stopped",
  "shutdown",
  "pm_suspended",
  "crashed",
] as const;

const eventDetails = {
  defined: ["added", "updated", "renamed", "from_snapshot"],
  undefined: ["removed", "renamed"],
  started: ["booted", "migrated", "restored", "from_snapshot", "wakeup"],
  suspended: [
    "paused",
    "migrated",
    "io_error",
    "watchdog",
    "restored",
    "from_snapshot",
    "api_error",
    "postcopy",
    "postcopy_failed",
  ],
  resumed: ["unpaused", "migrated", "from_snapshot", "postcopy", "postcopy_failed"],
  stopped: ["shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from_snapshot"],
  shutdown: ["finished", "guest", "host"],
  pm_suspended: ["memory", "disk"],
  crashed: ["panicked", "crash_loaded"],
} as const;

type DomainStates = (typeof domainStates)[number];
type LifecycleEvents = (typeof lifecycleEvents)[number];

/** State of a domain (virDomainState). `shutdown` = being shut down, `shutoff` = not running. */
export type DomainStateName = DomainStates | "unknown";
/** Reason of that state (virDomain*Reason). `unknown` also stands for numbers newer than this list. */
export type DomainStateReason = (typeof stateReasons)[DomainStates][number];
/** Kind of change of a domain (virDomainEventType). */
export type LifecycleEventName = LifecycleEvents | "unknown";
/** Cause of the change (virDomainEvent*DetailType). */
export type LifecycleEventDetail = (typeof eventDetails)[LifecycleEvents][number] | "unknown";

/** State and reason of a domain at one moment. */
export interface DomainState {
  state: DomainStateName;
  reason: DomainStateReason;
}

/** Returns the names for the numbers of `domain_get_state`. */
export function nameDomainState(state: number, reason: number): DomainState {
  const name = domainStates[state];
  if (name === undefined) return { state: "unknown", reason: "unknown" };
  return { state: name, reason: stateReasons[name][reason] ?? "unknown" };
}

/** Returns the names for the numbers of a lifecycle event. */
export function nameLifecycleEvent(
  event: number,
  detail: number,
): { event: LifecycleEventName; detail: LifecycleEventDetail } {
  const name = lifecycleEvents[event];
  if (name === undefined) return { event: "unknown", detail: "unknown" };
  return { event: name, detail: eventDetails[name][detail] ?? "unknown" };
}
