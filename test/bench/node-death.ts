/** A node's plug is pulled: until NotReady, until DNS leaves its pods out, until the replacements run. */
import { systemClock } from '../../lib/clock.ts';
import { fromEnvelope } from '../../lib/model/codec.ts';
import type { Service } from '../../proto/gen/types.ts';
import { waitFor } from '../e2e/lab-fixture.ts';
import { apply, type ClusterClient, followPods, isRunning, running, sleepers, withCluster } from './cluster.ts';
import type { Report } from './report.ts';

const bench = 'node-death';
const replicas = 6;
const name = 'victims';
const timeoutMs = 120_000;

export async function run(report: Report): Promise<void> {
  await withCluster(3, async ({ lab, cluster }) => {
    const service: Service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: 'default' },
      spec: { clusterIP: 'None', selector: { app: name }, ports: [{ port: 80 }] },
    };
    await apply(cluster, service);
    await apply(cluster, sleepers(name, replicas));
    await followPods(
      cluster,
      `app=${name}`,
      systemClock.monotonicMs(),
      timeoutMs,
      (pods) => running(pods) === replicas,
    );
    await waitFor('DNS has every pod', 30_000, async () => (await addresses(cluster)).length === replicas);

    const lost = new Set(await podAddressesOn(cluster, 'node-3'));
    const startMs = systemClock.monotonicMs();
    const notReady = waitFor('NotReady', timeoutMs, async () => !(await nodeIsReady(cluster, 'node-3'))).then(
      () => systemClock.monotonicMs() - startMs,
    );
    const dns = waitFor(
      'DNS corrected',
      timeoutMs,
      async () => !(await addresses(cluster)).some((ip) => lost.has(ip)),
    ).then(() => systemClock.monotonicMs() - startMs);
    const replaced = followPods(
      cluster,
      `app=${name}`,
      startMs,
      timeoutMs,
      (pods) =>
        [...pods.values()].filter((pod) => isRunning(pod) && pod.spec.nodeName !== 'node-3').length === replicas,
    );
    const [notReadyMs, dnsMs, replacedMs] = await Promise.all([notReady, dns, replaced, lab.kill('node-3')]);
    report({ bench, metric: 'killed to NotReady', value: notReadyMs / 1000, unit: 's' });
    report({ bench, metric: 'killed to DNS corrected', value: dnsMs / 1000, unit: 's' });
    report({
      bench,
      metric: 'killed to replacements Running',
      value: replacedMs / 1000,
      unit: 's',
      target: { bound: '<=', value: 5 },
    });
  });
}

async function addresses(cluster: ClusterClient): Promise<string[]> {
  const { records = [] } = await cluster.Resolve({ name: `${name}.default.svc.cluster.local`, type: 'A' });
  return records.flatMap((record) => record.data ?? []);
}

async function nodeIsReady(cluster: ClusterClient, node: string): Promise<boolean> {
  const { object } = await cluster.Get({ kind: 'Node', name: node });
  const found = fromEnvelope(object);
  if (found?.kind !== 'Node') throw new Error(`no node ${node}`);
  return (found.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');
}

async function podAddressesOn(cluster: ClusterClient, node: string): Promise<string[]> {
  const { items = [] } = await cluster.List({ kind: 'Pod', namespace: '', fieldSelector: `spec.nodeName=${node}` });
  return items.flatMap((item) => {
    const pod = fromEnvelope(item);
    return pod?.kind === 'Pod' && pod.status?.podIP ? [pod.status.podIP] : [];
  });
}
