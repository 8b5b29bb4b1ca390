/** What the command line reports as bad input: a sentence naming the file or option, and what to do. The exit status is 2. */

export class CliError extends Error {
  constructor(message: string, readonly advice?: string) {
    super(message);
  }
}
