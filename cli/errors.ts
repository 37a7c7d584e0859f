/** Errors as kubectl words them. */
import { type CodeName, GantryError, messageOf } from '../lib/errors.ts';
import { RpcError } from '../lib/rpc/status.ts';

const reasons: Partial<Record<CodeName, string>> = {
  notFound: 'NotFound',
  alreadyExists: 'AlreadyExists',
  invalidArgument: 'Invalid',
  permissionDenied: 'Forbidden',
  unauthenticated: 'Unauthorized',
  aborted: 'Conflict',
  failedPrecondition: 'Conflict',
  resourceExhausted: 'TooManyRequests',
  deadlineExceeded: 'Timeout',
  outOfRange: 'Expired',
  internal: 'InternalError',
  unavailable: 'ServiceUnavailable',
};

/** The lines to print. */
export function errorLines(error: unknown): string[] {
  if (error instanceof RpcError) {
    const reason = reasons[error.code];
    return [`Error from server${reason ? ` (${reason})` : ''}: ${error.message}`, ...detailLines(error)];
  }
  if (error instanceof GantryError) {
    const prefix = error.message.startsWith('The connection to the server') ? '' : 'error: ';
    return [`${prefix}${error.message}`, ...detailLines(error)];
  }
  return [`error: ${messageOf(error)}`];
}

function detailLines({ message, details }: GantryError): string[] {
  return details.filter((detail) => !message.includes(detail)).map((detail) => `  * ${detail}`);
}

/** Prints and returns the exit status. */
export function reportError(error: unknown, warn: (line: string) => void): number {
  for (const line of errorLines(error)) warn(line);
  return 1;
}
