/** What is wrong with one command of zonecfg: it is said, and the next command is run. */
export class Complaint extends Error {}

/** What is said and not remembered as an error: zonecfg.c forgets to in some places, and then exits with 0. */
export class Remark extends Error {}

/** A command that ends zonecfg at once, whatever was to follow. */
export class Exit extends Error {}
