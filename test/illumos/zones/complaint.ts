/** An error of one zonecfg command: it is printed, and the next command runs. */
export class Complaint extends Error {}

/**
 * A message that is printed but not recorded as an error: zonecfg.c omits that in some places, and then exits with 0.
 */
export class Remark extends Error {}

/** An error that ends zonecfg at once, without the remaining commands. */
export class Exit extends Error {}
