import { errorText } from "../../../core/errors.ts";
import { guestName } from "../../../core/job/job.ts";
import { isLibvirtError } from "../../../libvirt/index.ts";
import type { LibvirtHost } from "../host.ts";

/**
 * True when libvirt refused because this kind of network (or this kernel) cannot isolate a guest's bridge port. libvirt
 * reports that only when the guest starts: "<port isolated='yes'/> is not supported for network interfaces with
 * type='direct'". libvirt uses one code for everything unsupported: only the text names the port.
 */
export function isolationRefused(error: unknown): boolean {
  return isLibvirtError(error) && /isolat/i.test(error.message);
}

/** Logs that guests on this network can reach each other. */
export function warnOfOpenPort(host: LibvirtHost, jobId: string, error: unknown): void {
  host.log.warn(
    { guest: guestName(jobId), network: host.network, problem: errorText(error) },
    "this network cannot isolate ports: guests can reach each other",
  );
}

/** Returns a domain's XML, in libvirt's form, without the request to isolate its port. */
export function withoutIsolation(domainXml: string): string {
  return domainXml.replace(/<port isolated='yes'\/>/, "");
}
