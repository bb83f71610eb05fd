/** illumos' default for volblocksize. */
export const defaultBlockBytes = 8192;

const pointersPerBlock = 1024;
const indirectBlockBytes = 131_072;
const copiesOfMetadata = 2;

/**
 * The reservation of a volume that is not sparse: its size and its metadata (zvol_volsize_to_reservation of
 * libzfs_dataset.c).
 */
export function volumeReservation(bytes: number, blockBytes: number): number {
  let metadataBlocks = 7;
  for (let blocks = Math.floor(bytes / (blockBytes || defaultBlockBytes)); blocks > 1; ) {
    blocks = Math.floor((blocks + pointersPerBlock - 1) / pointersPerBlock);
    metadataBlocks += blocks;
  }
  return bytes + metadataBlocks * copiesOfMetadata * indirectBlockBytes;
}
