import pg from "pg";

/** The channel on which hosts tell each other what changed. */
const channel = "solstice_wakes";

/** An ear on what the hosts tell each other. */
export interface WakeListener {
  /** How many connections it has heard from: each host has one for this. */
  senders(): number;
  close(): Promise<void>;
}

/** Listens from when it resolves. Only sensible while the database stays. */
export async function listenForWakes(databaseUrl: string): Promise<WakeListener> {
  const client = new pg.Client({ connectionString: databaseUrl });
  const heard = new Set<number>();
  client.on("notification", ({ processId }) => heard.add(processId));
  await client.connect();
  await client.query(`listen ${channel}`);
  return { senders: () => heard.size, close: () => client.end() };
}
