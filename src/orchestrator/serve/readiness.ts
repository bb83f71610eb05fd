import { errorText } from "../../core/errors.ts";
import type { ReadinessCheck } from "../../http/http.ts";
import { listSlots } from "../../store/jobs/capacity.ts";
import { type Context, isDraining, isImageReady, isImageServed } from "../context.ts";
import { withinProbeTime } from "./probe.ts";

/**
 * The checks of `/readyz`: can a job be accepted and run now? `leaseProblem` is the reason why this host's
 * lease was not renewed, or null: a database that can be read may still fail to write.
 */
export async function readiness(context: Context, leaseProblem: string | null): Promise<ReadinessCheck[]> {
  return [
    servingCheck(context),
    await check("store", () => listSlots(context.store, context.identity.hostId)),
    { name: "lease", ok: leaseProblem === null, message: leaseProblem ?? "ok" },
    // Any request that the hypervisor must answer; this job does not exist.
    await check("hypervisor", () => context.hypervisor.power("readiness")),
    {
      name: "disk",
      ok: context.diskGuard.pausedReason() === null,
      message: context.diskGuard.pausedReason() ?? "ok",
    },
    ...brokerCheck(context),
    imageCheck(context),
  ];
}

function servingCheck(context: Context): ReadinessCheck {
  const { phase } = context;
  if (phase !== "serving") return { name: "serving", ok: false, message: `this host is ${phase}` };
  const ok = !isDraining(context);
  return {
    name: "serving",
    ok,
    message: ok ? "ok" : "this host is draining (to resume: solstice drain --end)",
  };
}

function imageCheck(context: Context): ReadinessCheck {
  const { config, hypervisor } = context;
  const mapped = [...config.imageMap.images.keys()];
  const ready = mapped.filter((image) => isImageReady(context, image));
  if (mapped.some((image) => isImageServed(context, image))) {
    return { name: "images", ok: ready.length > 0, message: `ready: ${ready.join(", ") || "none yet"}` };
  }
  const message = `no image of the image map is for the backend of this host: ${hypervisor.backend}`;
  return { name: "images", ok: mapped.length === 0, message };
}

/** While the broker is unavailable, jobs still arrive through the API, and results wait in the store. */
function brokerCheck({ messaging }: Context): ReadinessCheck[] {
  if (messaging === null) return [];
  const { connected, message } = messaging.broker.status();
  return [{ name: "broker", ok: connected, message }];
}

async function check(name: string, probe: () => Promise<unknown>): Promise<ReadinessCheck> {
  try {
    await withinProbeTime(probe());
    return { name, ok: true, message: "ok" };
  } catch (error) {
    return { name, ok: false, message: errorText(error) };
  }
}
