/** One of the servers of the dns bench, in a process of its own: `gantry` or `echo`. Prints its port, ends with its input. */
import { createSocket } from 'node:dgram';
import { startClusterDns } from '../../control-plane/dns/cluster-dns.ts';
import { MutableClusterState } from '../../control-plane/state/cluster-state.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { systemRandom } from '../../lib/random.ts';
import type { KubeObject } from '../../proto/gen/types.ts';

const address = '127.0.0.1';

process.stdin.on('end', () => process.exit()).resume();
console.log(process.argv[2] === 'gantry' ? await serveGantry() : await serveEcho());

async function serveGantry(): Promise<number> {
  const state = new MutableClusterState();
  const objects = Array.from({ length: 100 }, (_, i) => servicesObjects(i)).flat();
  state.replace(
    objects.map((object) => ({ key: keyOf(object), object })),
    1n,
  );
  const listener = await startClusterDns({
    listen: `${address}:0`,
    zone: 'cluster.local',
    clusterCIDR: '10.42.0.0/16',
    serviceCIDR: '10.43.0.0/16',
    dnsIP: '10.43.0.10',
    state,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    upstreams: [],
  });
  return listener.port;
}

function servicesObjects(i: number): KubeObject[] {
  const namespace: KubeObject = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'default', resourceVersion: '1' },
  };
  const service: KubeObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: `web-${i}`, namespace: 'default', resourceVersion: '1' },
    spec: {
      clusterIP: `10.43.1.${i + 1}`,
      type: 'ClusterIP',
      ports: [{ name: 'http', port: 80 }],
      selector: { app: 'web' },
    },
  };
  return i === 0 ? [namespace, service] : [service];
}

/** The least that any UDP server in Node can do: send the packet back with the answer bit set. */
async function serveEcho(): Promise<number> {
  const socket = createSocket({ type: 'udp4', lookup: (_name, _options, callback) => callback(null, address, 4) });
  socket.on('message', (packet, from) => {
    packet[2]! |= 0x80;
    socket.send(packet, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, address, resolve));
  return socket.address().port;
}
