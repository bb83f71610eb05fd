import { execFile } from "node:child_process";

/** The current state of a queue as RabbitMQ reports it. */
export interface QueueState {
  /** The RabbitMQ module that implements the queue, such as `rabbit_quorum_queue`. */
  readonly type: string;
  readonly durable: boolean;
  readonly messages_ready: number;
  readonly messages_unacknowledged: number;
  readonly consumers: number;
}

/**
 * The Erlang node of a RabbitMQ. It evaluates expressions within milliseconds, while `rabbitmqctl` starts another
 * Erlang node and takes one to two seconds of processor time.
 */
export interface RabbitmqNode {
  /** The Erlang cookie that connections need. */
  readonly cookie: string;
  readonly distributionPort: number;
}

/** The user of every private broker; RabbitMQ accepts this name and password from loopback only. */
export const administrator: RabbitmqUser = { username: "guest", password: "guest" };

/**
 * The state of a quorum queue as its leader reports it; null when the virtual host has no such queue, or the queue
 * has no leader yet.
 */
export async function readQueueState(
  node: RabbitmqNode,
  name: string,
  virtualHost = "/",
): Promise<QueueState | null> {
  const json = await evaluate(
    node,
    `Json = fun(Term) -> binary_to_list(base64:encode(rabbit_json:encode(Term))) end,
     try case rabbit_amqqueue:lookup(rabbit_misc:r(${binary(virtualHost)}, queue, ${binary(name)})) of
       {error, not_found} -> Json(null);
       {ok, Queue} ->
         Ask = fun(Query) -> {ok, {_, Answer}, _} = ra:leader_query(amqqueue:get_pid(Queue), Query), Answer end,
         Json(#{type => amqqueue:get_type(Queue),
                durable => amqqueue:is_durable(Queue),
                messages_ready => Ask(fun rabbit_fifo:query_messages_ready/1),
                messages_unacknowledged => Ask(fun rabbit_fifo:query_messages_checked_out/1),
                consumers => Ask(fun rabbit_fifo:query_consumer_count/1)})
     end catch error:{badmatch, _} -> Json(null)
     end`,
  );
  return JSON.parse(Buffer.from(json, "base64").toString());
}

/** Makes a virtual host in which the administrator has all rights. */
export async function addVirtualHost(node: RabbitmqNode, name: string): Promise<void> {
  await evaluate(node, `ok = rabbit_vhost:add(${binary(name)}, ${by})`);
  await grant(node, { username: administrator.username, virtualHost: name, configure: ".*" });
}

/** Removes a virtual host with everything in it. */
export async function removeVirtualHost(node: RabbitmqNode, name: string): Promise<void> {
  await evaluate(node, `ok = rabbit_vhost:delete(${binary(name)}, ${by})`);
}

/** A name and a password. */
export interface RabbitmqUser {
  readonly username: string;
  readonly password: string;
}

/** Adds a user who may read and write in a virtual host, but not declare. */
export async function addUserWithoutRights(
  node: RabbitmqNode,
  { username, password }: RabbitmqUser,
  virtualHost: string,
): Promise<void> {
  const user = `${binary(username)}, ${binary(password)}`;
  await evaluate(node, `ok = rabbit_auth_backend_internal:add_user(${user}, ${by})`);
  await grant(node, { username, virtualHost, configure: "^$" });
}

/** Makes the broker drop a message of any queue after this many returns. */
export async function limitDeliveries(node: RabbitmqNode, count: number): Promise<void> {
  const definition = `[{<<"delivery-limit">>, ${count}}]`;
  const policy = `<<"/">>, <<"limit">>, <<".*">>, ${definition}, 0, <<"queues">>, ${by}`;
  await evaluate(node, `ok = rabbit_policy:set(${policy})`);
}

/**
 * Writes the list of quorum queues to disk. RabbitMQ 3.10 does so only every half second, and a younger queue does
 * not survive `kill -9` (docs/reference/messages.md).
 */
export async function saveQuorumQueues(node: RabbitmqNode): Promise<void> {
  await evaluate(node, "lists:foreach(fun dets:sync/1, dets:all())");
}

/** Limits the broker's memory; above the limit it accepts no messages. A limit of 0 bytes blocks every publisher. */
export async function limitMemory(node: RabbitmqNode, megabytes: number): Promise<void> {
  await evaluate(node, `ok = vm_memory_monitor:set_vm_memory_high_watermark({absolute, "${megabytes}MB"})`);
}

/** The user in RabbitMQ's own records of these changes. */
const by = '<<"test">>';

async function grant(
  node: RabbitmqNode,
  to: { username: string; virtualHost: string; configure: string },
): Promise<void> {
  const user = `${binary(to.username)}, ${binary(to.virtualHost)}`;
  const rights = `${binary(to.configure)}, <<".*">>, <<".*">>`;
  await evaluate(node, `ok = rabbit_auth_backend_internal:set_permissions(${user}, ${rights}, ${by})`);
}

function binary(text: string): string {
  if (!/^[\w.*^$/-]+$/.test(text)) throw new TypeError(`${text} needs quoting in Erlang.`);
  return `<<"${text}">>`;
}

/**
 * The value of an Erlang expression, without the quotes of a string. `-R`: the node names its callers, because there
 * may be several.
 */
function evaluate({ cookie, distributionPort }: RabbitmqNode, expression: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const args = ["-R", "-c", cookie, "-address", `127.0.0.1:${distributionPort}`, "-e"];
    const child = execFile("erl_call", args, (error, stdout) => {
      const value = /^\{ok, "?(.*?)"?\}\s*$/s.exec(stdout)?.[1];
      if (value !== undefined) resolve(value);
      else reject(new Error(`RabbitMQ did not evaluate ${expression}: ${stdout}`, { cause: error }));
    });
    child.stdin?.end(`${expression}.\n`);
  });
}
