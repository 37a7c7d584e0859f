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
  dataLoss: 'DataLoss',
};

/** The lines to print. What they quote may be anything: no control characters, and not without end. */
export function errorLines(error: unknown): string[] {
  return linesOf(error).map(printable);
}

const longestLine = 2000;

function printable(line: string): string {
  const short = line.length > longestLine ? `${line.slice(0, longestLine)}...` : line;
  return short.replaceAll(/[\p{Cc}\p{Cf}]/gu, (character) =>
    character === '\n' ? character : `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`,
  );
}

function linesOf(error: unknown): string[] {
  if (error instanceof RpcError) {
    const reason = reasons[error.code];
    return [`Error from server${reason ? ` (${reason})` : ''}: ${plainMessage(error)}`, ...detailLines(error)];
  }
  if (error instanceof GantryError) {
    const prefix = error.message.startsWith('The connection to the server') ? '' : 'error: ';
    return [`${prefix}${error.message}`, ...detailLines(error)];
  }
  return [`error: ${messageOf(error)}`];
}

/** gRPC tells where the time went; people want to know what it means. */
function plainMessage({ message }: GantryError): string {
  const late = /^Deadline exceeded after ([\d.]+)s/.exec(message);
  if (!late) return message;
  const caution = 'a change may have been made all the same, so look before you repeat it';
  return `no answer came within ${Math.round(Number(late[1]))} s; ${caution}`;
}

function detailLines({ message, details }: GantryError): string[] {
  return details.filter((detail) => !message.includes(detail)).map((detail) => `  * ${detail}`);
}

/** Prints and returns the exit status. */
export function reportError(error: unknown, warn: (line: string) => void): number {
  for (const line of errorLines(error)) warn(line);
  return 1;
}
