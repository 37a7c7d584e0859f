/**
 * How another service uses Gantry: connect with a config file as ctl has it, apply a Deployment, follow its pods until
 * they are Ready, and print where they run.
 *
 *   node examples/client.ts [CONFIG [IMAGE [REPLICAS]]]     default: $GANTRY_CONFIG or ~/.gantry/config, echo:1, 3
 *
 * Everything below is the public contract (proto/gantry/v1/cluster.proto) over gRPC with mutual TLS; a program in another
 * language does the same with stubs generated from that file (docs/api.md).
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { parse } from 'yaml';
import { isGantryError, messageOf } from '../lib/errors.ts';
import { type Connection, connect, type ServiceClient } from '../lib/rpc/client.ts';
import { ReloadableTls } from '../lib/rpc/tls.ts';
import type { Deployment, Pod } from '../proto/gen/types.ts';

const name = 'example';
const timeoutMs = 120_000;

function connectWith(configPath: string): Connection {
  const config = parse(readFileSync(configPath, 'utf8'));
  return connect({
    address: config.server,
    tls: new ReloadableTls({
      caPem: config.caCertificate,
      certPem: config.clientCertificate,
      keyPem: config.clientKey,
    }),
  });
}

const deploymentOf = (image: string, replicas: number): Deployment => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, labels: { app: name } },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'main', image }] },
    },
  },
});

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;

/**
 * Follows the pods until `wanted` of them are Ready. A watch may end at any time (a control plane restarts, a revision is
 * compacted): it goes on after the last event seen, and begins anew when the server says "list again".
 */
async function readyPods(cluster: ServiceClient<'Cluster'>, wanted: number, signal: AbortSignal): Promise<Pod[]> {
  const pods = new Map<string, Pod>();
  let resourceVersion: string | undefined;
  for (;;) {
    try {
      const request = { kind: 'Pod', labelSelector: `app=${name}`, ...(resourceVersion && { resourceVersion }) };
      if (!resourceVersion) pods.clear();
      for await (const event of cluster.Watch(request, { signal })) {
        resourceVersion = event.resourceVersion ?? resourceVersion;
        const pod = event.object?.pod;
        if (!pod) continue; // a BOOKMARK: all that existed has been told
        if (event.type === 'DELETED') pods.delete(pod.metadata.name);
        else pods.set(pod.metadata.name, pod);
        console.log(`${event.type?.padEnd(8)} ${pod.metadata.name}  ${pod.status?.phase}  ${pod.spec.nodeName ?? '-'}`);
        const ready = [...pods.values()].filter((one) => isReady(one) && !one.metadata.deletionTimestamp);
        if (ready.length >= wanted) return ready;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (isGantryError(error, 'outOfRange')) resourceVersion = undefined;
      else if (!isGantryError(error, 'unavailable')) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

const ownConfig = process.env.GANTRY_CONFIG || `${homedir()}/.gantry/config`;

async function main(configPath = ownConfig, image = 'echo:1', replicas = '3'): Promise<void> {
  const connection = connectWith(configPath);
  try {
    const cluster = connection.client('Cluster');
    const wanted = Number(replicas);
    const deployment = deploymentOf(image, wanted);
    const { result } = await cluster.Apply({ object: { deployment }, fieldManager: 'example-client' });
    console.log(`deployment ${name} ${result}`);
    for (const pod of await readyPods(cluster, wanted, AbortSignal.timeout(timeoutMs))) {
      console.log(`ready    ${pod.metadata.name}  ${pod.status?.podIP}  on ${pod.spec.nodeName}`);
    }
    console.log(`to remove it: ctl delete deployment ${name}`);
  } finally {
    connection.close();
  }
}

try {
  await main(...process.argv.slice(2));
} catch (error) {
  console.error(`error: ${messageOf(error)}`);
  if (isGantryError(error)) for (const line of error.details) console.error(`  ${line}`);
  process.exitCode = 1;
}
