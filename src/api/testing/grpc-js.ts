import { once } from "node:events";
import { fileURLToPath } from "node:url";
import {
  Client,
  type ClientReadableStream,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  Metadata,
  type MethodDefinition,
  type ServiceClientConstructor,
  type ServiceError,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const protoDirectory = fileURLToPath(new URL("../../../proto", import.meta.url));

/**
 * A gRPC client that shares no code with ours: grpc-js, which reads the contract from the `.proto` files
 * itself.
 */
export class GrpcJsClient {
  readonly #client: Client;
  readonly #methods: Readonly<Record<string, MethodDefinition<object, object>>>;
  readonly #token: string | undefined;

  /** A client of `RunnerService` or `JobService`; close it when the test ends. */
  constructor(service: "RunnerService" | "JobService", options: { url: string; token?: string }) {
    const file = service === "RunnerService" ? "runner.proto" : "jobs.proto";
    const loaded = loadPackageDefinition(
      loadSync(`solstice/v1/${file}`, {
        includeDirs: [protoDirectory],
        longs: String,
        enums: String,
        defaults: true,
      }),
    );
    const { v1 } = loaded.solstice as GrpcObject;
    this.#methods = ((v1 as GrpcObject)[service] as ServiceClientConstructor).service as never;
    this.#client = new Client(new URL(options.url).host, credentials.createInsecure());
    this.#token = options.token;
  }

  /** Makes a unary call; rejects with grpc-js's own `ServiceError`. */
  call(method: string, request: object, token = this.#token): Promise<Record<string, unknown>> {
    const { path, requestSerialize, responseDeserialize } = this.#method(method);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        bearer(token),
        (error, answer) => (error ? reject(error) : resolve(answer as Record<string, unknown>)),
      );
    });
  }

  /** Opens a server stream. */
  stream(method: string, request: object): ClientReadableStream<object> {
    const { path, requestSerialize, responseDeserialize } = this.#method(method);
    return this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      bearer(this.#token),
    );
  }

  close(): void {
    this.#client.close();
  }

  #method(name: string): MethodDefinition<object, object> {
    const method = this.#methods[name];
    if (method === undefined) throw new TypeError(`the contract has no method ${name}`);
    return method;
  }
}

function bearer(token: string | undefined): Metadata {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

/**
 * The parts of our errors that a gRPC client receives: its status code, our code, and the remedy or
 * undefined.
 */
export function grpcErrorParts(error: unknown): { status: number; code: unknown; remedy: unknown } {
  const { code: status, metadata } = error as ServiceError;
  return {
    status,
    code: metadata.get("solstice-error-code")[0],
    remedy: metadata.get("solstice-remedy")[0],
  };
}

/** The end of a stream: its error, or null. */
export function endOfStream(stream: ClientReadableStream<object>): Promise<ServiceError | null> {
  return once(stream, "end").then(
    () => null,
    (error: ServiceError) => error,
  );
}
