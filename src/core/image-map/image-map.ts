import type { SeedForm } from "../job/guest.ts";
import type { Backend, GuestSize } from "../job/job.ts";
import type { Egress } from "./egress.ts";

/** Compression of an image file at its source. */
export type Decompress = "zstd" | "xz" | "gzip" | "none";

/** The digest algorithms of image files. */
export type ChecksumAlgorithm = "sha256" | "sha512";

/** The expected checksum of the file as published (before decompression). */
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
  /** True when the guest reads a NoCloud seed. */
  readonly nocloud: boolean;
  readonly defaults: GuestSize;
  /** Null: no checksum is compared. */
  readonly checksum: ImageChecksum | null;
  /** Null: detected from the file. */
  readonly format: "raw" | "qcow2" | null;
  readonly backend: Backend | null;
  /** The form in which its guests read their seed. */
  readonly seed: SeedForm;
  readonly diskBus: "virtio" | "sata" | "scsi" | "ide";
  readonly nicModel: "virtio" | "e1000" | "e1000e" | "rtl8139";
  readonly firmware: "bios" | "efi";
  /** The networks that its guests may reach. */
  readonly egress: Egress;
}

/** CPU and memory of a named size; the disk stays the image's default unless given. */
export interface NamedSize {
  readonly cpu: number;
  readonly ramMb: number;
  readonly diskGb: number | null;
}

/** The image map: labels to images. Validated: every alias leads to an image. */
export interface ImageMap {
  readonly defaultLabel: string;
  readonly aliases: ReadonlyMap<string, string>;
  readonly sizes: ReadonlyMap<string, NamedSize>;
  readonly images: ReadonlyMap<string, ImageDefinition>;
}
