import { SolsticeError } from "../../core/errors.ts";
import type { ImageFile } from "./fat-image.ts";

/** Block size of disks in bytes. */
const blockBytes = 512;
/** Size limit; a seed has about 100 KB. */
const maxBytes = 8 * 1024 * 1024;

/**
 * Builds a cpio archive that fills a whole disk, in the old portable format (POSIX `cpio` interchange format, "odc"):
 * one of the two formats that illumos/metadata-agent detects in a disk's first bytes (src/provider/generic.rs), and
 * that illumos' `cpio -i` detects by itself. The files are at the archive's root, readable for their owner, root.
 * Throws `limit_exceeded` above 8 MiB.
 */
export function buildCpioArchive(files: readonly ImageFile[]): Buffer {
  const members = files.map(({ name, content }, at) => member(name, Buffer.from(content), at + 1));
  const archive = Buffer.concat([...members, member("TRAILER!!!", Buffer.alloc(0), 0)]);
  if (archive.length > maxBytes) {
    throw new SolsticeError("limit_exceeded", "The seed is too large for a cpio archive of 8 MiB.");
  }
  return Buffer.concat([archive, Buffer.alloc((blockBytes - (archive.length % blockBytes)) % blockBytes)]);
}

/** Encodes one member. Numbers are octal digits; this format has no alignment. */
function member(name: string, content: Buffer, inode: number): Buffer {
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  const header = [
    "070707",
    octal(0, 6), // device
    octal(inode, 6),
    octal(inode === 0 ? 0 : 0o100600, 6),
    octal(0, 6), // user
    octal(0, 6), // group
    octal(1, 6), // links
    octal(0, 6), // device of a device file
    octal(0, 11), // time
    octal(name.length + 1, 6),
    octal(content.length, 11),
  ].join("");
  return Buffer.concat([Buffer.from(`${header}${name}\0`, "latin1"), content]);
}
