/** How a command of the stand-in ends when it does not do what was asked: the text for stderr and the exit code. */
export class CommandFailure extends Error {
  readonly exitCode: number;

  constructor(text: string, exitCode = 1) {
    super(text);
    this.exitCode = exitCode;
  }
}

/** The exit code of a command that was not called as its synopsis says. */
export const usageExitCode = 2;

/** How a command ends that is killed: no word, no exit code, and whatever was done stays done. */
export class CommandDeath extends Error {}
