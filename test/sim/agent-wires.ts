/** How a simulated agent reaches others: it joins, has sessions with replicas, and probes what runs on its machine. */
import { GantryError } from '../../lib/errors.ts';
import type { Prober } from '../../node-agent/pods/prober.ts';
import type { SessionTransport } from '../../node-agent/session/session-client.ts';
import type { JoinRequest, JoinResponse, SessionDown } from '../../proto/gen/types.ts';
import type { Machine } from './agent.ts';
import type { SimProcess } from './process.ts';
import type { Rpc } from './rpc.ts';

const nobody = { commonName: '', organization: '', address: '192.0.2.1:40000' };

/** Joining over the wire, but without certificates: those need the real world's time and chance. */
export async function join({ name, servers, disk, facts }: Machine, process: SimProcess, rpc: Rpc): Promise<void> {
  for (let attempt = 0; !disk.has('identity'); attempt += 1) {
    const request: JoinRequest = { nodeName: name, machineID: facts().machineID };
    const address = servers[attempt % servers.length]!;
    try {
      (await rpc.unary(process, nobody, address, 'Bootstrap', 'Join', request)) satisfies JoinResponse;
      disk.set('identity', new Uint8Array());
    } catch (error) {
      if (!(error instanceof GantryError)) throw error;
      await process.clock.sleep(200 + process.random.next() * 1_000);
    }
  }
}

export function transportOf({ name, nodeIP }: Machine, process: SimProcess, rpc: Rpc): SessionTransport {
  const peer = { commonName: `node:${name}`, organization: 'node', address: `${nodeIP}:40000` };
  return {
    open: (address, requests, signal) =>
      rpc.stream(process, peer, address, 'NodeSession', 'Session', requests, { signal }) as AsyncIterable<SessionDown>,
  };
}

/** http and tcp probes are answered by what runs; there is nothing to connect to. */
export function proberOf({ host, network, nodeIP }: Machine, process: SimProcess): Prober {
  const addressOf = (podUid: string): string | undefined =>
    host.sandboxes.get(podUid)?.config.hostNetwork ? nodeIP : network.attached.get(podUid)?.ip;
  return {
    ask: (check) =>
      process.effect(
        async () => {
          const runs = [...host.containers.values()].some(
            ({ status, config }) =>
              status.state === 'running' && (check.type === 'exec' || addressOf(config.podUid) === check.host),
          );
          return runs ? { success: true, message: 'fine' } : { success: false, message: 'nothing answers' };
        },
        1 + process.random.next() * 10,
      ),
  };
}
