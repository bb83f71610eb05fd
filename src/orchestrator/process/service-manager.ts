import { errorText } from "../../core/errors.ts";
import { runCommand } from "../../host/command.ts";
import type { Log } from "../context.ts";

/** Maximum time of `systemd-notify`, in seconds. */
const notifyDeadlineSeconds = 10;

/**
 * The systemd that started this process (`Type=notify`): receives this process's state, and a line for
 * `systemctl status`. Each call resolves when it is done; a failure is logged. Without such a systemd, calls
 * do nothing.
 */
export interface ServiceManager {
  /** The servers are open, at the start and after a reload. */
  ready(status: string): Promise<void>;
  reloading(): Promise<void>;
  stopping(status: string): Promise<void>;
}

/**
 * `isWaiting`: `NOTIFY_SOCKET` is set. Uses the program `systemd-notify`, because Node has no Unix datagram
 * sockets.
 */
export function createServiceManager({ isWaiting, log }: { isWaiting: boolean; log: Log }): ServiceManager {
  const notify = async (...fields: string[]) => {
    if (!isWaiting) return;
    try {
      await runCommand("systemd-notify", fields, { deadlineSeconds: notifyDeadlineSeconds });
    } catch (error) {
      const what = "systemd-notify failed: the service manager did not receive this state";
      log.warn({ problem: errorText(error), fields }, what);
    }
  };
  return {
    ready: (status) => notify("READY=1", `STATUS=${status}`),
    // The time lets a systemd with Type=notify-reload distinguish this reload from an earlier one.
    reloading: () => notify("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: (status) => notify("STOPPING=1", `STATUS=${status}`),
  };
}
