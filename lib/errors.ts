/**
 * The one error that crosses Gantry's boundaries. What the world does wrong (bad input, a lost race, a dead peer)
 * is a GantryError: a gRPC code, a sentence that names what was wrong and what to do next. A programmer's mistake is
 * an assertion and ends the process. The mapping to and from gRPC happens once, in lib/rpc.
 */

/** gRPC status codes by name (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
export const Code = {
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;
export type CodeName = keyof typeof Code;

export class GantryError extends Error {
  readonly code: CodeName;
  /** One line per problem when several were found at once (validation). */
  readonly details: readonly string[];

  constructor(code: CodeName, message: string, options: { cause?: unknown; details?: readonly string[] } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'GantryError';
    this.code = code;
    this.details = options.details ?? [];
  }
}

export function isGantryError(error: unknown, code?: CodeName): error is GantryError {
  return error instanceof GantryError && (code === undefined || error.code === code);
}

/** The sentence of any thrown value, for logs and events. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A programmer's mistake: ends the process unless a test catches it. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
