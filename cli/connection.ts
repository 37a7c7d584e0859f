/** One client over all replicas of the control plane: the next one is tried when one cannot be reached. */
import { GantryError, isGantryError } from '../lib/errors.ts';
import { type Connection, connect } from '../lib/rpc/client.ts';
import { RpcError } from '../lib/rpc/status.ts';
import { ReloadableTls } from '../lib/rpc/tls.ts';
import type { ClientConfig } from './config.ts';
import type { ClusterClient } from './context.ts';

export function connectTo(config: ClientConfig): ClusterClient {
  const tls = new ReloadableTls({
    caPem: config.caCertificate,
    certPem: config.clientCertificate,
    keyPem: config.clientKey,
  });
  const connections = new Map<string, Connection>();
  const clientOf = (address: string): ClusterClient => {
    let connection = connections.get(address);
    if (!connection) {
      connection = connect({ address, tls });
      connections.set(address, connection);
    }
    return connection.client('Cluster');
  };
  return overReplicas(config.servers.map((address) => ({ address, client: () => clientOf(address) })));
}

interface Replica {
  readonly address: string;
  client(): ClusterClient;
}

type AnyMethod = (input: unknown, options?: unknown) => Promise<unknown> | AsyncIterable<unknown>;

/** The replica that answered last stays the first choice. */
export function overReplicas(replicas: readonly Replica[]): ClusterClient {
  let first = 0;
  const order = (): Replica[] => replicas.map((_, i) => replicas[(first + i) % replicas.length]!);
  const methodOf = (replica: Replica, name: string): AnyMethod =>
    (replica.client() as unknown as Record<string, AnyMethod>)[name]!;

  const call =
    (name: string): AnyMethod =>
    (input, options) => {
      const result = methodOf(replicas[first]!, name)(input, options);
      return Symbol.asyncIterator in result
        ? stream(name, input, options, result as AsyncIterable<unknown>)
        : unary(name, input, options, result as Promise<unknown>);
    };
  const unary = async (name: string, input: unknown, options: unknown, attempt: Promise<unknown>): Promise<unknown> => {
    const [, ...others] = order();
    let failure: unknown;
    try {
      return await attempt;
    } catch (error) {
      if (!notReached(error)) throw error;
      failure = error;
    }
    for (const replica of others) {
      try {
        const result = await (methodOf(replica, name)(input, options) as Promise<unknown>);
        first = replicas.indexOf(replica);
        return result;
      } catch (error) {
        if (!notReached(error)) throw error;
      }
    }
    throw unreachable(replicas, failure);
  };
  async function* stream(
    name: string,
    input: unknown,
    options: unknown,
    attempt: AsyncIterable<unknown>,
  ): AsyncGenerator<unknown> {
    const [, ...others] = order();
    let source = attempt;
    for (;;) {
      let started = false;
      try {
        for await (const message of source) {
          started = true;
          yield message;
        }
        return;
      } catch (error) {
        // Input that is itself a stream may be half consumed: it cannot be sent again.
        const repeatable = typeof input === 'object' && input !== null && !(Symbol.asyncIterator in input);
        if (started || !notReached(error) || !repeatable)
          throw notReached(error) ? unreachable(replicas, error) : error;
        const next = others.shift();
        if (!next) throw unreachable(replicas, error);
        first = replicas.indexOf(next);
        source = methodOf(next, name)(input, options) as AsyncIterable<unknown>;
      }
    }
  }
  return new Proxy({} as ClusterClient, {
    get: (_target, name) => (typeof name === 'string' ? call(name) : undefined),
  });
}

function notReached(error: unknown): boolean {
  return isGantryError(error, 'unavailable');
}

function unreachable(replicas: readonly Replica[], cause: unknown): GantryError {
  if (isAnswer(cause)) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const addresses = replicas.map((replica) => replica.address).join(', ');
  return new GantryError(
    'unavailable',
    `The connection to the server ${addresses} failed: ${reason}. Is the control plane running? (ctl lab status)`,
    { cause },
  );
}

/** The server itself says that something behind it is unavailable: a node, or the store. A lost connection has no trailer. */
function isAnswer(error: unknown): error is RpcError {
  return error instanceof RpcError && Object.keys(error.trailer).length > 0;
}
