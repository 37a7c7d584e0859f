/** A lab's control planes, one by one and together: who leads, what each says, how long scheduling is away. */
import { readConfig } from '../../cli/config.ts';
import { connectTo } from '../../cli/connection.ts';
import type { ClusterClient } from '../../cli/context.ts';
import { systemClock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { fromEnvelope, toEnvelope } from '../../lib/model/codec.ts';
import type { ConfigMap, KubeObject, Pod } from '../../proto/gen/types.ts';
import { type Lab, waitFor } from './lab-fixture.ts';
import { pod, sleeper } from './manifests.ts';

const callMs = 3000;

async function list<T extends KubeObject>(client: ClusterClient, kind: T['kind']): Promise<T[]> {
  const { items = [] } = await client.List({ kind, namespace: '' }, { deadlineMs: callMs });
  return items.map((item) => fromEnvelope(item) as T);
}

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

  /** Clients for constant load: each prefers another replica, and fails over. */
  get writers(): readonly ClusterClient[] {
    return this.#clients;
  }

  async list<T extends KubeObject>(kind: T['kind']): Promise<T[]> {
    return this.ask((client) => list<T>(client, kind));
  }

  /** As the replica at this host:port has them. */
  async configMapsAt(address: string): Promise<ConfigMap[]> {
    return list<ConfigMap>(this.only(this.addresses.indexOf(address)), 'ConfigMap');
  }

  /**
   * Applies a pod, again until that is acknowledged, waits until it has a node, and deletes it. Milliseconds from now to
   * the binding. Its image is nowhere, so that it costs no more than that. Each turn goes to a replica that answers: how
   * long a client waits for one that does not is not the cluster's to shorten.
   */
  async schedulesWithin(name: string, limitMs: number): Promise<number> {
    const startedMs = systemClock.monotonicMs();
    const target = { kind: 'Pod', namespace: 'default', name };
    const image = { image: 'nowhere:1', imagePullPolicy: 'Never' } as const;
    const object = toEnvelope(pod(name, { containers: [sleeper(image)] }));
    let acknowledged = false;
    await waitFor(`${name} is taken and has a node`, limitMs, async () => {
      const client = await this.#answering();
      if (!acknowledged) {
        await client.Apply({ object, fieldManager: 'e2e' }, { deadlineMs: 1000 });
        acknowledged = true;
      }
      const { object: found } = await client.Get(target, { deadlineMs: 1000 });
      return (fromEnvelope(found) as Pod).spec.nodeName !== undefined;
    });
    const tookMs = systemClock.monotonicMs() - startedMs;
    await this.ask((client) => client.Delete(target, { deadlineMs: callMs }));
    return tookMs;
  }

  /** The replica whose answer comes first. */
  #answering(): Promise<ClusterClient> {
    const asked = async (client: ClusterClient): Promise<ClusterClient> => {
      await client.GetClusterInfo({}, { deadlineMs: 1000 });
      return client;
    };
    return Promise.any(this.#only.map(asked));
  }
}
