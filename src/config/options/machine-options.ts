import { backends } from "../../core/job/job.ts";
import { defineOptions } from "./option-definition.ts";
import { libvirtUri, networkName, oneOf, wholeNumber } from "./option-parsers.ts";

/** The hypervisor of a host, and settings of libvirt. */
export const machineOptions = defineOptions("Virtual machines:", {
  hypervisor: {
    placeholder: "NAME",
    description: "auto, libvirt (Linux), zones (illumos) or noop (no guests, for development)",
    defaultText: "auto",
    parse: oneOf("auto", ...backends),
  },
  libvirtUri: {
    placeholder: "URI",
    description: "the libvirt daemon to use",
    defaultText: "qemu:///system",
    parse: libvirtUri,
  },
  libvirtNetwork: {
    placeholder: "NAME",
    description: "the libvirt network of guests",
    defaultText: "default",
    parse: networkName,
  },
  libvirtVirtType: {
    placeholder: "TYPE",
    description:
      "kvm, qemu (software emulation, slow), or auto: kvm if a test guest runs with it, else qemu with a warning",
    defaultText: "auto",
    parse: oneOf("auto", "kvm", "qemu"),
  },
});

/** The log level, and settings of the noop backend. */
export const developmentOptions = defineOptions("Diagnosis and development:", {
  logLevel: {
    placeholder: "LEVEL",
    description: "debug, info, warn or error",
    defaultText: "info",
    parse: oneOf("debug", "info", "warn", "error"),
  },
  noopRunner: {
    placeholder: "KIND",
    description:
      "with --hypervisor noop: delay (every job succeeds after NOOP_DELAY_MS) or process (steps run on this machine, not isolated)",
    defaultText: "delay",
    parse: oneOf("delay", "process"),
  },
  noopDelayMs: {
    placeholder: "MS",
    description: "with --noop-runner delay: duration of a job, in milliseconds",
    defaultText: "1000",
    parse: wholeNumber(0, 3_600_000),
  },
});
