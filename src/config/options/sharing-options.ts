import { defineOptions } from "./option-definition.ts";
import { amqpName, amqpUrl, databaseUrl, duration, restartGrace, wholeNumber } from "./option-parsers.ts";

/** The store of several hosts, and the times of a takeover. */
export const sharingOptions = defineOptions("Several hosts:", {
  databaseUrl: {
    placeholder: "URL",
    description:
      "the PostgreSQL that several hosts share, such as postgres://user@host/solstice. It may contain a password: prefer the variable",
    defaultText: null,
    defaultNote: "SQLite in the data directory",
    secret: true,
    parse: databaseUrl,
  },
  leaseTimeout: {
    placeholder: "TIME",
    description:
      "time without a lease renewal in the database after which other hosts take over a host's jobs",
    defaultText: "30s",
    parse: duration,
  },
  restartGrace: {
    placeholder: "TIME",
    description:
      "time that other hosts wait before they take over this host's jobs after SIGUSR2, which a restart of the service sends",
    defaultText: "5m",
    parse: restartGrace,
  },
});

/** The broker of requests and results. */
export const brokerOptions = defineOptions("Message broker:", {
  amqpUrl: {
    placeholder: "URL",
    description:
      "the RabbitMQ of requests and results, such as amqp://user@host/vhost. It may contain a password: prefer the variable",
    defaultText: null,
    defaultNote: "none: requests come only through the API",
    secret: true,
    parse: amqpUrl,
  },
  amqpExchange: {
    placeholder: "NAME",
    description: "the topic exchange of requests and results; NAME.dead receives rejected requests",
    defaultText: "solstice.jobs",
    parse: amqpName,
  },
  amqpQueue: {
    placeholder: "NAME",
    description: "the quorum queue of requests; NAME.dead keeps rejected requests",
    defaultText: "solstice.jobs.v1",
    parse: amqpName,
  },
  amqpRoutingKey: {
    placeholder: "KEY",
    description: "the routing key of requests",
    defaultText: "job.request",
    parse: amqpName,
  },
  amqpPrefetch: {
    placeholder: "N",
    description: "most messages taken from the broker that are not yet acknowledged",
    defaultText: null,
    defaultNote: "MAX_CONCURRENCY",
    parse: wholeNumber(1, 10_000),
  },
});
