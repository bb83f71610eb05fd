import type { Channel } from "rabbitmq-client";
import type { AmqpConfig } from "../../config/orchestrator-config.ts";
import { type ErrorCode, SolsticeError } from "../../core/errors.ts";
import { brokerErrorCode, brokerErrorText, shownBrokerUrl } from "./broker-errors.ts";

/** Routing key of results, on the exchange of requests. */
export const resultRoutingKey = "job.result";

/**
 * Limits of queues that may have no consumer, so that they cannot fill the broker's disk: the oldest messages are
 * dropped.
 */
const unreadLimits = {
  "x-max-length": 100_000,
  "x-max-length-bytes": 1024 ** 3,
  "x-overflow": "drop-head",
} as const;

/**
 * Largest number of times that a request is delivered, RabbitMQ 4's default; then it is dead-lettered. Without the
 * limit, a message that ends every connection (headers that the client library cannot read) would be delivered for
 * ever.
 */
const deliveryLimit = 20;

type QueueArguments = Readonly<Record<string, string | number>>;

/** A durable quorum queue, and its bindings. */
interface QueueDefinition {
  readonly queue: string;
  readonly arguments: QueueArguments;
  readonly exchange: string;
  readonly routingKey: string;
}

/** All exchanges and queues of Solstice, as data. Only arguments that RabbitMQ 3.10 supports. */
export interface Topology {
  readonly exchanges: readonly { readonly exchange: string; readonly type: "topic" | "fanout" }[];
  readonly queues: readonly QueueDefinition[];
}

/** Returns the name of the dead-letter exchange that belongs to an exchange. */
export function deadLetterExchange({ exchange }: Pick<AmqpConfig, "exchange">): string {
  return `${exchange}.dead`;
}

/** Returns the exchanges and queues that each connection declares. */
export function topologyOf(config: Omit<AmqpConfig, "url" | "prefetch">): Topology {
  const { exchange, queue, routingKey } = config;
  const dead = deadLetterExchange(config);
  const quorum = { "x-queue-type": "quorum" } as const;
  return {
    exchanges: [
      { exchange, type: "topic" },
      { exchange: dead, type: "fanout" },
    ],
    queues: [
      {
        queue: `${queue}.dead`,
        arguments: { ...quorum, ...unreadLimits },
        exchange: dead,
        routingKey: "",
      },
      {
        queue: `${exchange}.results`,
        arguments: { ...quorum, ...unreadLimits },
        exchange,
        routingKey: resultRoutingKey,
      },
      {
        queue,
        // Messages that RabbitMQ gives up are dead-lettered, not dropped.
        arguments: { ...quorum, "x-delivery-limit": deliveryLimit, "x-dead-letter-exchange": dead },
        exchange,
        routingKey,
      },
    ],
  };
}

/**
 * Declares the topology; exchanges and queues that exist with the same properties stay unchanged. Throws `conflict`
 * when one has other properties; the broker then also closes the channel.
 */
export async function declareTopology(channel: Channel, config: AmqpConfig): Promise<void> {
  const { exchanges, queues } = topologyOf(config);
  for (const exchange of exchanges) await declareExchange(channel, config, exchange);
  for (const definition of queues) {
    await declareQueue(channel, config, definition);
    const { queue, exchange, routingKey } = definition;
    await explained({ config, thing: "queue", name: queue }, () =>
      channel.queueBind({ queue, exchange, routingKey }),
    );
  }
}

/** Declares one exchange, with the errors of {@link declareTopology}. */
export async function declareExchange(
  channel: Channel,
  config: AmqpConfig,
  { exchange, type }: Topology["exchanges"][number],
): Promise<void> {
  await explained({ config, thing: "exchange", name: exchange }, () =>
    channel.exchangeDeclare({ exchange, type, durable: true }),
  );
}

/** Declares one queue without its bindings, with the errors of {@link declareTopology}. */
export async function declareQueue(
  channel: Channel,
  config: AmqpConfig,
  { queue, arguments: queueArguments }: Topology["queues"][number],
): Promise<void> {
  await explained({ config, thing: "queue", name: queue }, () =>
    channel.queueDeclare({ queue, durable: true, arguments: { ...queueArguments } }),
  );
}

interface Declared {
  readonly config: AmqpConfig;
  readonly thing: "exchange" | "queue";
  readonly name: string;
}

async function explained(declared: Declared, declare: () => Promise<unknown>): Promise<void> {
  try {
    await declare();
  } catch (error) {
    throw explain(declared, error);
  }
}

const refusals: Readonly<
  Record<string, { readonly code: ErrorCode; say(declared: Declared): { what: string; remedy: string } }>
> = {
  PRECONDITION_FAILED: {
    code: "conflict",
    say: ({ thing, name }) => ({
      what: `The ${thing} ${name} exists with other properties than Solstice declares`,
      remedy:
        `Choose another name (AMQP_EXCHANGE, AMQP_QUEUE), or empty and delete it` +
        `${thing === "queue" ? ` (rabbitmqctl delete_queue ${name})` : ""}: Solstice then declares it again automatically.`,
    }),
  },
  ACCESS_REFUSED: {
    code: "broker_unavailable",
    say: ({ thing, name }) => ({
      what: `The user has no permission to declare the ${thing} ${name}`,
      remedy: "Grant the user configure, write and read on these names (rabbitmqctl set_permissions).",
    }),
  },
};

function explain(declared: Declared, error: unknown): unknown {
  const refusal = refusals[brokerErrorCode(error) ?? ""];
  if (!refusal) return error;
  const { what, remedy } = refusal.say(declared);
  const { url } = declared.config;
  const text = `RabbitMQ at ${shownBrokerUrl(url)}: ${what} (${brokerErrorText(error, url)}).`;
  return new SolsticeError(refusal.code, text, { remedy });
}
