import type { SeedForm } from "../job/guest.ts";
import type { Backend, GuestSize } from "../job/job.ts";
import type { Egress } from "./egress.ts";

/** How an image file is compressed at its source. */
export type Decompress = "zstd" | "xz" | "gzip" | "none";

/** The digests that files are compared by. */
export type ChecksumAlgorithm = "sha256" | "sha512";

/** What the file as published (before decompression) is compared with. */
export type ImageChecksum =
  | { readonly kind: "digest"; readonly algorithm: ChecksumAlgorithm; readonly hex: string }
  /** A file of checksums, as publishers put it beside their images: http(s) or file URL, or absolute path. */
  | { readonly kind: "list"; readonly location: string };

/** One image of the map, validated, with defaults filled in. */
export interface ImageDefinition {
  readonly name: string;
  /** http(s) or file URL, or absolute path; null when the operator puts the file at `localPath` by hand. */
  readonly source: string | null;
  /** Absolute path of the prepared image. */
  readonly localPath: string;
  readonly decompress: Decompress;
  /** Whether the guest reads a NoCloud seed. */
  readonly nocloud: boolean;
  readonly defaults: GuestSize;
  /** Null: nothing is compared. */
  readonly checksum: ImageChecksum | null;
  /** Null: detected from the file. */
  readonly format: "raw" | "qcow2" | null;
  readonly backend: Backend | null;
  /** How its guests read what they are told. */
  readonly seed: SeedForm;
  readonly diskBus: "virtio" | "sata" | "scsi" | "ide";
  readonly nicModel: "virtio" | "e1000" | "e1000e" | "rtl8139";
  readonly firmware: "bios" | "efi";
  /** What its guests may reach in the network. */
  readonly egress: Egress;
}

/** CPU and memory of a named size; the disk stays the image's default unless given. */
export interface NamedSize {
  readonly cpu: number;
  readonly ramMb: number;
  readonly diskGb: number | null;
}

/** The image map: labels to images. Validated: every alias ends at an image. */
export interface ImageMap {
  readonly defaultLabel: string;
  readonly aliases: ReadonlyMap<string, string>;
  readonly sizes: ReadonlyMap<string, NamedSize>;
  readonly images: ReadonlyMap<string, ImageDefinition>;
}
