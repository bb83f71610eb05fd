import type { Channel } from "rabbitmq-client";
import type { AmqpConfig } from "../../config/orchestrator-config.ts";
import { type ErrorCode, SolsticeError } from "../../core/errors.ts";
import { brokerErrorCode, brokerErrorText, shownBrokerUrl } from "./broker-errors.ts";

/** The routing key of results, on the exchange of requests. */
export const resultRoutingKey = "job.result";

/** What nobody reads must not fill the broker's disk: beyond these the oldest go. */
const unreadLimits = {
  "x-max-length": 100_000,
  "x-max-length-bytes": 1024 ** 3,
  "x-overflow": "drop-head",
} as const;

/**
 * How often a request is given out at most, as RabbitMQ 4 has it by itself: one that ends every connection it comes through
 * (headers that the client library cannot read) would otherwise do so for ever. Then it is dead-lettered.
 */
const deliveryLimit = 20;

type QueueArguments = Readonly<Record<string, string | number>>;

/** A durable quorum queue, and what is bound to it. */
interface QueueDefinition {
  readonly queue: string;
  readonly arguments: QueueArguments;
  readonly exchange: string;
  readonly routingKey: string;
}

/** Everything of ours in the broker, as data. Only arguments that RabbitMQ 3.10 knows. */
export interface Topology {
  readonly exchanges: readonly { readonly exchange: string; readonly type: "topic" | "fanout" }[];
  readonly queues: readonly QueueDefinition[];
}

/** The names that a configuration stands for. */
export function deadLetterExchange({ exchange }: Pick<AmqpConfig, "exchange">): string {
  return `${exchange}.dead`;
}

/** What is declared on each connect. */
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
        // What RabbitMQ gives up must not vanish.
        arguments: { ...quorum, "x-delivery-limit": deliveryLimit, "x-dead-letter-exchange": dead },
        exchange,
        routingKey,
      },
    ],
  };
}

/**
 * Declares the topology; what is there already with the same properties stays as it is. Throws `conflict` when something
 * of that name is different; the broker closes the channel with it.
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

/** One exchange, as {@link declareTopology} does it. */
export async function declareExchange(
  channel: Channel,
  config: AmqpConfig,
  { exchange, type }: Topology["exchanges"][number],
): Promise<void> {
  await explained({ config, thing: "exchange", name: exchange }, () =>
    channel.exchangeDeclare({ exchange, type, durable: true }),
  );
}

/** One queue without what is bound to it, as {@link declareTopology} does it. */
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
      what: `The ${thing} ${name} exists there with other properties than Solstice declares`,
      remedy:
        `Choose another name (AMQP_EXCHANGE, AMQP_QUEUE), or empty and delete it` +
        `${thing === "queue" ? ` (rabbitmqctl delete_queue ${name})` : ""}: it is then declared again by itself.`,
    }),
  },
  ACCESS_REFUSED: {
    code: "broker_unavailable",
    say: ({ thing, name }) => ({
      what: `The user may not declare the ${thing} ${name}`,
      remedy: "Grant it configure, write and read on these names (rabbitmqctl set_permissions).",
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
