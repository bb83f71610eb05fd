import { SolsticeError } from "../../core/errors.ts";

/** Maximum time of a probe of `/readyz` or `/metrics`, in ms: callers give up after about ten seconds. */
export const probeTimeoutMs = 3000;

/**
 * Settles as `probe` does, or rejects with `unavailable` after {@link probeTimeoutMs}: an unresponsive
 * network must not block the callers.
 */
export async function withinProbeTime<Value>(probe: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new SolsticeError("unavailable", `No answer within ${probeTimeoutMs / 1000} s.`);
    timer = setTimeout(() => reject(error), probeTimeoutMs);
  });
  try {
    return await Promise.race([probe, late]);
  } finally {
    clearTimeout(timer);
  }
}
