import pg from "pg";

/** The channel on which hosts notify each other of changes. */
const channel = "solstice_wakes";

/** A listener to the notifications between hosts. */
export interface WakeListener {
  /** Number of connections that have sent a notification: each host has one for this. */
  senders(): number;
  close(): Promise<void>;
}

/** Starts to listen before its promise resolves. Only useful while the database keeps running. */
export async function listenForWakes(databaseUrl: string): Promise<WakeListener> {
  const client = new pg.Client({ connectionString: databaseUrl });
  const processIds = new Set<number>();
  client.on("notification", ({ processId }) => processIds.add(processId));
  await client.connect();
  await client.query(`listen ${channel}`);
  return { senders: () => processIds.size, close: () => client.end() };
}
