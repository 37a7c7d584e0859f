/** A lab and a client of its API, for the benches that measure the whole cluster. */
import { readConfig } from '../../cli/config.ts';
import { connectTo } from '../../cli/connection.ts';
import { systemClock } from '../../lib/clock.ts';
import { fromEnvelope, toEnvelope } from '../../lib/model/codec.ts';
import type { ServiceClient } from '../../lib/rpc/client.ts';
import type { Deployment, KubeObject, Pod } from '../../proto/gen/types.ts';
import { type Lab, startLab } from '../e2e/lab-fixture.ts';

export type ClusterClient = ServiceClient<'Cluster'>;

export interface BenchCluster {
  readonly lab: Lab;
  readonly cluster: ClusterClient;
}

export async function withCluster(nodes: number, body: (bench: BenchCluster) => Promise<void>): Promise<void> {
  const lab = await startLab({ nodes });
  try {
    await body({ lab, cluster: connectTo(readConfig(lab.config)) });
  } finally {
    await lab.remove();
  }
}

/** `sleep` in busybox: the workload costs nothing, so that the cluster's own work is what is measured. */
export function sleepers(name: string, replicas: number): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [
            {
              name: 'sleep',
              image: 'busybox:1',
              command: ['sleep', 'infinity'],
              resources: { requests: { cpu: '1m', memory: '1Mi' } },
            },
          ],
        },
      },
    },
  };
}

export async function apply(cluster: ClusterClient, object: KubeObject): Promise<void> {
  await cluster.Apply({ object: toEnvelope(object), fieldManager: 'bench' });
}

/** Follows the pods with a label until `done` says so; returns how long that took from `startMs` (monotonic). */
export async function followPods(
  cluster: ClusterClient,
  labelSelector: string,
  startMs: number,
  timeoutMs: number,
  done: (pods: ReadonlyMap<string, Pod>) => boolean,
): Promise<number> {
  const pods = new Map<string, Pod>();
  const stop = new AbortController();
  const deadline = systemClock.schedule(timeoutMs, () => stop.abort(new Error(`not reached within ${timeoutMs} ms`)));
  try {
    let listed = false;
    for await (const event of cluster.Watch({ kind: 'Pod', namespace: '', labelSelector }, { signal: stop.signal })) {
      const object = fromEnvelope(event.object);
      if (object?.kind === 'Pod') {
        if (event.type === 'DELETED') pods.delete(object.metadata.uid!);
        else pods.set(object.metadata.uid!, object);
      }
      if (event.type === 'BOOKMARK') listed = true;
      if (listed && done(pods)) return systemClock.monotonicMs() - startMs;
    }
    throw new Error('the watch ended');
  } finally {
    deadline.cancel();
    stop.abort(new Error('done'));
  }
}

export function isRunning({ metadata, status }: Pod): boolean {
  const running = status?.containerStatuses?.every(({ state }) => state?.running !== undefined) ?? false;
  return status?.phase === 'Running' && running && metadata.deletionTimestamp === undefined;
}

export function running(pods: ReadonlyMap<string, Pod>): number {
  return [...pods.values()].filter(isRunning).length;
}

export async function removeDeployment(cluster: ClusterClient, name: string): Promise<void> {
  await cluster.Delete({ kind: 'Deployment', namespace: 'default', name });
  await followPods(cluster, `app=${name}`, systemClock.monotonicMs(), 120_000, (pods) => pods.size === 0);
}
