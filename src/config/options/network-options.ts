import { defineOptions } from "./option-definition.ts";
import { httpUrl, listenAddress, token } from "./option-parsers.ts";

/** The addresses of the API and of the runner endpoint. */
export const networkOptions = defineOptions("Network:", {
  apiListen: {
    placeholder: "HOST:PORT",
    description: "the API's address; a token is required unless it is a loopback address",
    defaultText: "127.0.0.1:7410",
    parse: listenAddress,
  },
  apiPublicUrl: {
    placeholder: "URL",
    description:
      "the URL of this host's API for clients, if it differs from API_LISTEN, such as the URL of a reverse proxy; needs a token",
    defaultText: null,
    defaultNote: "from API_LISTEN",
    parse: httpUrl,
  },
  apiToken: {
    placeholder: "TOKEN",
    description:
      "the token that callers of the API must send. Every user of this machine can read a flag (ps): prefer the variable",
    defaultText: null,
    defaultNote: "none",
    secret: true,
    parse: token,
  },
  runnerListen: {
    placeholder: "HOST:PORT",
    description: "the address of the runner endpoint, which guests call",
    defaultText: null,
    defaultNote:
      "port 7411 of the host's address in the guests' network: the gateway of LIBVIRT_NETWORK, or the address of ZONES_VNIC",
    parse: listenAddress,
  },
  runnerUrl: {
    placeholder: "URL",
    description: "the URL of the runner endpoint for guests, if it differs from RUNNER_LISTEN",
    defaultText: null,
    defaultNote: "from RUNNER_LISTEN",
    parse: httpUrl,
  },
});
