import { createHash } from "node:crypto";

/** A file that an {@link UploadDesk} received. */
export interface DeskFile {
  readonly kind: string;
  /** The name's bytes as latin1, so that every byte is visible. */
  readonly name: string;
  readonly size: number;
  bytes: Buffer;
  stored: boolean;
}

type Body = Readonly<Record<string, unknown>>;

/** The uploads of a runner endpoint in memory, by the contract of `runner.proto`. */
export class UploadDesk {
  readonly files = new Map<string, DeskFile>();
  /** Returns the reason to refuse a file; empty to accept it. */
  refuse: (file: DeskFile) => string = () => "";
  /** Changes the bytes of a chunk, to simulate a line that damages data. */
  damage: (bytes: Buffer) => Buffer = (bytes) => bytes;

  /** The stored files, by name. */
  stored(): Map<string, string> {
    const kept = [...this.files.values()].filter((file) => file.stored);
    return new Map(kept.map((file) => [file.name, file.bytes.toString("latin1")]));
  }

  begin(body: Body): [status: number, body: object] {
    const name = Buffer.from(String(body.name ?? ""), "base64").toString("latin1");
    const id = createHash("sha256").update(`${body.kind}\0${name}`).digest("hex").slice(0, 32);
    const fresh = {
      kind: String(body.kind),
      name,
      size: Number(body.size ?? 0),
      bytes: Buffer.alloc(0),
      stored: false,
    };
    const file = this.files.get(id) ?? fresh;
    const refusal = this.refuse(file);
    if (refusal !== "") return [200, { uploadId: id, refusal }];
    this.files.set(id, file);
    return [200, { uploadId: id, ...progress(file) }];
  }

  append(id: string, offset: number, bytes: Buffer): [status: number, body: object] {
    const file = this.files.get(id);
    if (!file) return [404, { code: "not_found" }];
    if (offset + bytes.length > file.size) return [429, { code: "resource_exhausted" }];
    if (offset <= file.bytes.length) {
      const fresh = this.damage(bytes.subarray(file.bytes.length - offset));
      file.bytes = Buffer.concat([file.bytes, fresh]);
    }
    return [200, progress(file)];
  }

  finish(body: Body): [status: number, body: object] {
    const file = this.files.get(String(body.uploadId));
    if (!file) return [404, { code: "not_found" }];
    if (file.bytes.length === file.size) {
      const digest = createHash("sha256").update(file.bytes).digest("hex");
      if (digest === body.sha256) file.stored = true;
      else file.bytes = Buffer.alloc(0);
    }
    return [200, progress(file)];
  }
}

/** Connect JSON omits a zero and a false. */
function progress(file: DeskFile): object {
  return {
    ...(file.bytes.length > 0 && { received: String(file.bytes.length) }),
    ...(file.stored && { stored: true }),
  };
}
