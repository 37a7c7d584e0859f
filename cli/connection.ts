/** One client over all replicas of the control plane: the next one is tried when one cannot be reached. */
import { type Clock, systemClock } from '../lib/clock.ts';
import { GantryError, isGantryError, messageOf } from '../lib/errors.ts';
import { type Connection, connect } from '../lib/rpc/client.ts';
import { methodKind, serviceDefinition } from '../lib/rpc/service.ts';
import { RpcError } from '../lib/rpc/status.ts';
import { ReloadableTls } from '../lib/rpc/tls.ts';
import type { ClientConfig } from './config.ts';
import type { ClusterClient } from './context.ts';

export interface Replica {
  readonly address: string;
  /** Connects when it is not connected. Throws unavailable when nobody answers in time. */
  reached(): Promise<ClusterClient>;
}

/** A host that is up answers at once; with others to turn to, there is no point in waiting long for one that is not. */
const patienceMs = { only: 5_000, oneOfSeveral: 1_500 };
/** At the first call nobody is known to be well: the next host is dialled beside one that takes longer than this. */
const headStartMs = 250;

export function connectTo(config: ClientConfig): ClusterClient {
  const tls = new ReloadableTls({
    caPem: config.caCertificate,
    certPem: config.clientCertificate,
    keyPem: config.clientKey,
  });
  const withinMs = config.servers.length === 1 ? patienceMs.only : patienceMs.oneOfSeveral;
  return overReplicas(config.servers.map((address) => replicaAt(address, tls, withinMs)));
}

function replicaAt(address: string, tls: ReloadableTls, withinMs: number): Replica {
  let connection: Connection | undefined;
  return {
    address,
    async reached() {
      connection ??= connect({ address, tls });
      if ((await connection.reach(withinMs)) !== 'silent') return connection.client('Cluster');
      throw new GantryError('unavailable', `the host did not answer within ${withinMs / 1000} s`);
    },
  };
}

type Call = (input: unknown, options?: unknown) => Promise<unknown> | AsyncIterable<unknown>;

/** The replica that answered last stays the first choice; one that let a call wait in vain is none. */
export function overReplicas(replicas: readonly Replica[], clock: Clock = systemClock): ClusterClient {
  let first = 0;
  let choosing: Promise<void> | undefined;
  const chosen = (): Promise<void> => {
    choosing ??= firstReached(replicas, clock).then((index) => {
      first = index;
    });
    return choosing;
  };
  const order = (): Replica[] => replicas.map((_, i) => replicas[(first + i) % replicas.length]!);
  const methodOf = async (replica: Replica, name: string): Promise<Call> => {
    const client = await replica.reached();
    return (client as unknown as Record<string, Call>)[name]!;
  };

  const unary = (name: string) => async (input: unknown, options: unknown) => {
    await chosen();
    let failure: unknown;
    for (const replica of order()) {
      try {
        const method = await methodOf(replica, name);
        const answer = await (method(input, options) as Promise<unknown>);
        first = replicas.indexOf(replica);
        return answer;
      } catch (error) {
        // Nobody knows whether it was done, so it is not tried elsewhere; but the next call is.
        if (isGantryError(error, 'deadlineExceeded')) first = replicas.indexOf(replica) + 1;
        if (!isGantryError(error, 'unavailable')) throw error;
        failure = error;
      }
    }
    throw unreachable(replicas, failure);
  };

  const stream = (name: string) =>
    async function* (input: unknown, options: unknown): AsyncGenerator<unknown> {
      // Input that is itself a stream may be half consumed: it cannot be sent again.
      const repeatable = !(Symbol.asyncIterator in (input as object));
      await chosen();
      let failure: unknown;
      for (const replica of order()) {
        let started = false;
        try {
          const method = await methodOf(replica, name);
          first = replicas.indexOf(replica);
          started = !repeatable;
          for await (const message of method(input, options) as AsyncIterable<unknown>) {
            started = true;
            yield message;
          }
          return;
        } catch (error) {
          if (!isGantryError(error, 'unavailable')) throw error;
          failure = error;
          if (started) break;
        }
      }
      throw unreachable(replicas, failure);
    };

  const definition = serviceDefinition('Cluster');
  const methods = Object.entries(definition).map(([name, method]) => [
    name,
    methodKind(method) === 'unary' ? unary(name) : stream(name),
  ]);
  return Object.fromEntries(methods) as ClusterClient;
}

/** The index of the one that is reached first, the earlier ones having a head start; 0 when none is. */
async function firstReached(replicas: readonly Replica[], clock: Clock): Promise<number> {
  if (replicas.length < 2) return 0;
  const over = new AbortController();
  let earlier: Promise<unknown> = Promise.resolve();
  const attempts = replicas.map((replica, index) => {
    const turn = earlier;
    const attempt = turn.then(() => {
      over.signal.throwIfAborted();
      return replica.reached();
    });
    const headStart = turn.then(() => clock.sleep(headStartMs, over.signal)).catch(() => {});
    const failed = new Promise<void>((resolve) => attempt.catch(() => resolve()));
    earlier = Promise.race([headStart, failed]);
    return attempt.then(() => index);
  });
  try {
    return await Promise.any(attempts);
  } catch {
    return 0;
  } finally {
    over.abort();
  }
}

/** The server itself may say that something behind it is unavailable, a node or the store: that is its answer. */
function unreachable(replicas: readonly Replica[], cause: unknown): GantryError {
  if (cause instanceof RpcError && Object.keys(cause.trailer).length > 0) return cause;
  const addresses = replicas.map((replica) => replica.address).join(', ');
  const reason = messageOf(cause).replace(/: is the server running\?$/, '');
  return new GantryError(
    'unavailable',
    `The connection to the server ${addresses} failed: ${reason}. Is the control plane running? (ctl lab status)`,
    { cause },
  );
}
