/** A request that cannot be served: what the person reads. */
export class AdapterError extends Error {
  constructor(message: string, readonly advice?: string) {
    super(message);
    this.name = 'AdapterError';
  }
}

export function messageOf(error: unknown): string {
  const advice = (error as { advice?: unknown } | null)?.advice;
  const message = error instanceof Error ? error.message : String(error);
  return typeof advice === 'string' && advice !== '' ? `${message.replace(/[.]?$/, '.')} ${advice}` : message;
}
