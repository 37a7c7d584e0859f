/** A lab with several control planes under load: what was acknowledged, who leads, how long scheduling is away. */
import { readConfig } from '../../cli/config.ts';
import { connectTo } from '../../cli/connection.ts';
import type { ClusterClient } from '../../cli/context.ts';
import { systemClock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { fromEnvelope, toEnvelope } from '../../lib/model/codec.ts';
import type { ConfigMap, Pod } from '../../proto/gen/types.ts';
import { type Lab, waitFor } from './lab-fixture.ts';
import { pod } from './manifests.ts';

const callMs = 3000;

/** Speaks to the lab's replicas, to the next one when one does not answer. */
export class Replicas {
  /** host:port */
  readonly addresses: readonly string[];
  readonly #clients: readonly ClusterClient[];
  readonly #only: readonly ClusterClient[];

  constructor(lab: Lab) {
    const config = readConfig(lab.config);
    const { servers } = config;
    this.addresses = servers;
    this.#only = servers.map((address) => connectTo({ ...config, servers: [address] }));
    this.#clients = servers.map((_, first) =>
      connectTo({ ...config, servers: [...servers.slice(first), ...servers.slice(0, first)] }),
    );
  }

  /** Of this replica first, and of the others while it cannot be reached. */
  at(number: number): ClusterClient {
    return this.#clients[number % this.#clients.length]!;
  }

  /** Of this replica alone. */
  only(number: number): ClusterClient {
    return this.#only[number % this.#only.length]!;
  }

  /** From whichever replica answers, beginning with `first`. */
  async ask<T>(call: (client: ClusterClient) => Promise<T>, first = 0): Promise<T> {
    const errors: string[] = [];
    for (let turn = 0; turn < this.#clients.length; turn += 1) {
      try {
        return await call(this.at(first + turn));
      } catch (error) {
        errors.push(messageOf(error));
      }
    }
    throw new Error(errors.join('; '));
  }

  /** The name of the machine that leads. */
  async leader(): Promise<string> {
    const { leader } = await this.ask((client) => client.GetClusterInfo({}, { deadlineMs: callMs }));
    if (!leader) throw new Error('nobody leads');
    return leader;
  }

  async pods(): Promise<Pod[]> {
    const request = { kind: 'Pod', namespace: 'default' };
    const { items = [] } = await this.ask((client) => client.List(request, { deadlineMs: callMs }));
    return items.map((item) => fromEnvelope(item) as Pod);
  }

  async configMaps(): Promise<ConfigMap[]> {
    const request = { kind: 'ConfigMap', namespace: 'default' };
    const { items = [] } = await this.ask((client) => client.List(request, { deadlineMs: callMs }));
    return items.map((item) => fromEnvelope(item) as ConfigMap);
  }

  /** Applies a pod, again until that is acknowledged, and waits until it has a node. Milliseconds from now. */
  async schedulesWithin(name: string, limitMs: number): Promise<number> {
    const startedMs = systemClock.monotonicMs();
    const target = { kind: 'Pod', namespace: 'default', name };
    const object = toEnvelope(pod(name));
    let acknowledged = false;
    await waitFor(`${name} is taken and has a node`, limitMs, async () => {
      if (!acknowledged) {
        await this.ask((client) => client.Apply({ object, fieldManager: 'e2e' }, { deadlineMs: 1000 }));
        acknowledged = true;
      }
      const { object: found } = await this.ask((client) => client.Get(target, { deadlineMs: 1000 }));
      return (fromEnvelope(found) as Pod).spec.nodeName !== undefined;
    });
    return systemClock.monotonicMs() - startedMs;
  }
}

export interface Load {
  /** Writes acknowledged so far. */
  readonly acknowledged: number;
  /** Ends it and returns, for every ConfigMap, the newest value whose write was acknowledged. */
  stop(): Promise<ReadonlyMap<string, number>>;
}

/** One writer for each replica, each prefers another one; every other write makes a new ConfigMap, the others change one. */
export function startLoad(replicas: Replicas): Load {
  const newest = new Map<string, number>();
  let ended = false;
  let acknowledged = 0;
  const write = async (writer: number): Promise<void> => {
    let turn = writer;
    for (let value = 1; !ended; value += 1) {
      const name = value % 2 === 0 ? `load-${writer}` : `load-${writer}-${value}`;
      const object = toEnvelope({
        ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } },
        data: { value: `${value}` },
      } as ConfigMap);
      try {
        await replicas.at(turn).Apply({ object, fieldManager: `load-${writer}` }, { deadlineMs: callMs });
        newest.set(name, value);
        acknowledged += 1;
      } catch {
        turn += 1; // not acknowledged: it may be there or not
      }
      await systemClock.sleep(50);
    }
  };
  const writers = replicas.addresses.map((_, writer) => write(writer));
  return {
    get acknowledged() {
      return acknowledged;
    },
    async stop() {
      ended = true;
      await Promise.all(writers);
      return newest;
    },
  };
}
