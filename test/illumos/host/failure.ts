/** The failure of a stand-in's command: the text for stderr and the exit code. */
export class CommandFailure extends Error {
  readonly exitCode: number;

  constructor(text: string, exitCode = 1) {
    super(text);
    this.exitCode = exitCode;
  }
}

/** The exit code of a command whose arguments do not fit its synopsis. */
export const usageExitCode = 2;

/** The end of a command that is killed: no output, no exit code, and its work so far remains. */
export class CommandDeath extends Error {}
