/** The one mapping between GantryError and gRPC status. */
import { Metadata, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { Code, type CodeName, GantryError } from '../errors.ts';

/** Trailer with one entry per problem. `-bin` so that any character may stand in it. */
const detailsKey = 'gantry-details-bin';

const nameOfCode = new Map<number, CodeName>(Object.entries(Code).map(([name, code]) => [code, name as CodeName]));

/** Headers of 64 KiB end the whole HTTP/2 connection. Percent-encoding may write nine bytes for one character. */
const longestMessage = 2000;
const largestDetailsBytes = 24 * 1024;

/** A stack trace never crosses the wire: what is no GantryError becomes a bare `internal`. */
export function toStatus(error: unknown, trailer = new Metadata()): Partial<StatusObject> & { code: number } {
  if (error instanceof GantryError) {
    for (const detail of fitting(error.details)) trailer.add(detailsKey, Buffer.from(detail));
    return { code: Code[error.code], details: shortened(error.message), metadata: trailer };
  }
  return { code: Code.internal, details: "internal error: see the server's log", metadata: trailer };
}

function shortened(message: string): string {
  return message.length <= longestMessage ? message : `${message.slice(0, longestMessage)}...`;
}

function fitting(details: readonly string[]): readonly string[] {
  let bytes = 0;
  const end = details.findIndex((detail) => {
    bytes += Buffer.byteLength(detail);
    return bytes > largestDetailsBytes;
  });
  return end < 0 ? details : [...details.slice(0, end), `... and ${details.length - end} more`];
}

/** What a failed connection means, instead of OpenSSL's and the kernel's words. */
const connectionTrouble: readonly (readonly [RegExp, CodeName, string])[] = [
  [/alert certificate required/, 'unauthenticated', 'the server asks for a client certificate and none was sent'],
  [/alert certificate expired/, 'unauthenticated', 'the server refused our certificate: it has expired'],
  [/alert (unknown ca|bad certificate)/, 'unauthenticated', 'the server refused our certificate: another CA issued it'],
  [/certificate has expired/, 'unauthenticated', "the server's certificate has expired"],
  [
    /self-signed|unable to (get|verify)|altnames/,
    'unauthenticated',
    'the server is not of our cluster: its certificate is not from our CA',
  ],
  [/ECONNREFUSED/, 'unavailable', 'nothing listens there (connection refused): is the server running?'],
  [
    // Node's TLS server hangs up on a certificate that is not of its CA, without an alert that says so.
    /Last error: (read ECONNRESET|Failed to connect)/,
    'unavailable',
    'it hung up at once: it is stopping, or it does not take our certificate (of another cluster, or expired?)',
  ],
  [/EHOSTUNREACH|ENETUNREACH|ETIMEDOUT/, 'unavailable', 'the host cannot be reached'],
];

/** Keeps the trailer (`gantry-leader` and the like) readable on the error. */
export class RpcError extends GantryError {
  readonly trailer: Readonly<Record<string, string>>;

  constructor(error: ServiceError) {
    const details = error.metadata?.get(detailsKey).map((entry) => entry.toString()) ?? [];
    const plain = connectionTrouble.find(([pattern]) => pattern.test(error.details ?? ''));
    const code = plain?.[1] ?? nameOfCode.get(error.code) ?? 'unknown';
    super(code, plain?.[2] ?? (error.details || error.message), { cause: error, details });
    this.trailer = Object.fromEntries(
      Object.entries(error.metadata?.getMap() ?? {}).map(([key, value]) => [key, value.toString()]),
    );
  }
}

export function fromServiceError(error: unknown): unknown {
  return error instanceof Error && typeof (error as ServiceError).code === 'number' && 'metadata' in error
    ? new RpcError(error as ServiceError)
    : error;
}
