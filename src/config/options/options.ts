import { blobOptions } from "./blob-options.ts";
import { cacheOptions } from "./cache-options.ts";
import { capacityOptions } from "./capacity-options.ts";
import { fileOptions } from "./file-options.ts";
import { firewallOptions } from "./firewall-options.ts";
import { developmentOptions, machineOptions } from "./machine-options.ts";
import { networkOptions } from "./network-options.ts";
import { defineOptions } from "./option-definition.ts";
import { httpUrl } from "./option-parsers.ts";
import { brokerOptions, sharingOptions } from "./sharing-options.ts";
import { timeoutOptions } from "./timeout-options.ts";
import { upkeepOptions } from "./upkeep-options.ts";
import { zonesOptions } from "./zones-options.ts";

const { config, dataDir } = fileOptions;

/** Every option of `solstice orchestrator`, by the name of its value in the program, in the order of help and documentation. */
export const orchestratorOptions = {
  ...fileOptions,
  ...capacityOptions,
  ...sharingOptions,
  ...brokerOptions,
  ...machineOptions,
  ...firewallOptions,
  ...zonesOptions,
  ...networkOptions,
  ...timeoutOptions,
  ...upkeepOptions,
  ...blobOptions,
  ...cacheOptions,
  ...developmentOptions,
};

const connection = "Connection:";

/** The options of every command that calls the API. */
export const clientOptions = {
  ...defineOptions(connection, {
    apiUrl: {
      environment: "SOLSTICE_API_URL",
      placeholder: "URL",
      description: "the URL of the orchestrator's API",
      defaultText: null,
      defaultNote: "the URL that the orchestrator wrote into the data directory, else http://127.0.0.1:7410",
      parse: httpUrl,
    },
  }),
  apiToken: {
    ...networkOptions.apiToken,
    group: connection,
    description: "the API's token. Every user of this machine can read a flag (ps): prefer the variable",
  },
  dataDir: {
    ...dataDir,
    group: connection,
    description: "the data directory of this machine's orchestrator",
  },
};

/** The options of `solstice enqueue` for RabbitMQ. */
export const publishOptions = {
  amqpUrl: {
    ...brokerOptions.amqpUrl,
    description:
      "the RabbitMQ that the request is published to, such as amqp://user@host/vhost. It may contain a password: prefer the variable",
    defaultNote: "none: the request goes to the API",
  },
  amqpExchange: {
    ...brokerOptions.amqpExchange,
    description: "the exchange that the orchestrators have declared",
  },
  amqpRoutingKey: brokerOptions.amqpRoutingKey,
};

/** The options of `solstice images`, which works on the files of this machine. */
export const imageOptions = { config, dataDir, hypervisor: machineOptions.hypervisor };
