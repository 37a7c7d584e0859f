/**
 * An agent without a machine: joins, renews its lease and follows its slice with the production session client over
 * real gRPC, and runs pods by saying that they run. It keeps nothing of the slice but its own pods, so that one process
 * holds thousands.
 */
import { systemClock, timestamp } from '../../../lib/clock.ts';
import type { Log } from '../../../lib/log.ts';
import { fromEnvelope } from '../../../lib/model/codec.ts';
import { systemRandom } from '../../../lib/random.ts';
import { overlayMAC } from '../../../node-agent/network/addresses.ts';
import { obtainIdentity } from '../../../node-agent/session/join.ts';
import { createSessionClient, rpcTransport, type SessionClient } from '../../../node-agent/session/session-client.ts';
import type { SliceStore } from '../../../node-agent/session/slice-store.ts';
import type { Node, NodeStatus, Pod, PodStatus, Slice } from '../../../proto/gen/types.ts';

export interface HollowOptions {
  readonly nodeName: string;
  /** Distinct for each node; nothing listens there. */
  readonly nodeIP: string;
  readonly servers: readonly string[];
  readonly joinPort: number;
  readonly token: string;
  readonly dataDir: string;
  readonly log: Log;
}

/** From the binding to Running, as with an image that is there. */
const startMs = 200;

export class HollowAgent {
  readonly pods = new Map<string, Pod>();
  readonly #options: HollowOptions;
  readonly #ending = new AbortController();
  #client: SessionClient | undefined;
  #running: Promise<void> | undefined;

  constructor(options: HollowOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.#client?.connected === true;
  }

  /** How long ago the newest acknowledged heartbeat was sent. */
  silentMs(nowMs: number): number {
    return nowMs - (this.#client?.lastAckMs ?? nowMs);
  }

  /** Resolves when it has joined; the session goes on until `stop`. */
  async start(): Promise<void> {
    const { nodeName, servers, log, ...rest } = this.#options;
    const common = { clock: systemClock, random: systemRandom, log };
    const identity = { ...rest, nodeName, servers, machineID: `machine-of-${nodeName}`, ...common };
    const tls = await obtainIdentity(identity, this.#ending.signal);
    const status = nodeStatus(this.#options);
    this.#client = createSessionClient({
      servers,
      transport: rpcTransport(tls),
      slice: this.#slice(),
      node: () => ({ ...nodeObject(nodeName), status }),
      podUIDs: () => [...this.pods.keys()],
      ...common,
    });
    this.#client.node(status);
    this.#running = this.#client.run(this.#ending.signal);
  }

  /** As when its plug is pulled: nobody is told. */
  async stop(): Promise<void> {
    this.#ending.abort(new Error('stopped'));
    await this.#running;
  }

  #slice(): SliceStore {
    let revision: string | undefined;
    return {
      get: () => undefined,
      list: () => [],
      get revision() {
        return revision;
      },
      onChange: () => () => {},
      apply: (slice) => {
        revision = slice.revision;
        this.#apply(slice);
      },
      flush: async () => {},
    };
  }

  #apply({ complete, objects = [], removed = [] }: Slice): void {
    const listed = new Set<string>();
    for (const envelope of objects) {
      if (!envelope.pod) continue;
      const pod = fromEnvelope(envelope) as Pod;
      listed.add(pod.metadata.uid!);
      this.#take(pod);
    }
    for (const { kind, uid } of removed) if (kind === 'Pod') this.pods.delete(uid ?? '');
    if (complete) for (const uid of this.pods.keys()) if (!listed.has(uid)) this.pods.delete(uid);
  }

  #take(pod: Pod): void {
    const { uid = '', namespace = '', name, deletionTimestamp } = pod.metadata;
    const known = this.pods.get(uid);
    this.pods.set(uid, pod);
    const reference = { namespace, name, uid };
    if (deletionTimestamp !== undefined && known?.metadata.deletionTimestamp === undefined) {
      this.#client?.removed(reference);
    } else if (!known) {
      systemClock.schedule(startMs, () => {
        const now = this.pods.get(uid);
        if (now && now.metadata.deletionTimestamp === undefined) this.#client?.pod(reference, runningStatus(pod));
      });
    }
  }
}

function nodeObject(name: string): Node {
  const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' };
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: {} };
}

/** As large as that of a real machine. */
function nodeStatus({ nodeName, nodeIP }: HollowOptions): NodeStatus {
  const room = { cpu: '31900m', memory: '130000000Ki', 'ephemeral-storage': '100000000Ki', pods: '110' };
  const fine = (type: string, reason: string, message: string) => ({ type, status: 'False', reason, message }) as const;
  return {
    capacity: { ...room, cpu: '32' },
    allocatable: room,
    conditions: [
      fine('MemoryPressure', 'KubeletHasSufficientMemory', 'the node has sufficient memory available'),
      fine('DiskPressure', 'KubeletHasNoDiskPressure', 'the node has no disk pressure'),
      fine('PIDPressure', 'KubeletHasSufficientPID', 'the node has sufficient process ids available'),
    ],
    addresses: [
      { type: 'InternalIP', address: nodeIP },
      { type: 'Hostname', address: nodeName },
    ],
    nodeInfo: {
      machineID: `machine-of-${nodeName}`,
      bootID: `boot-of-${nodeName}`,
      kernelVersion: '6.1.0',
      osImage: 'Debian GNU/Linux 12 (bookworm)',
      containerRuntimeVersion: 'hollow://1',
      kubeletVersion: 'gantry-bench',
      operatingSystem: 'linux',
      architecture: 'amd64',
      overlayMAC: overlayMAC(nodeIP),
    },
    daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
  };
}

function runningStatus({ spec, metadata, status }: Pod): PodStatus {
  const now = timestamp(systemClock.nowMs());
  const holds = (type: string) => ({ type, status: 'True', lastTransitionTime: now }) as const;
  return {
    ...status,
    phase: 'Running',
    conditions: [...(status?.conditions ?? []), ...['Initialized', 'ContainersReady', 'Ready'].map(holds)],
    startTime: now,
    containerStatuses: spec.containers.map(({ name, image }) => ({
      name,
      image,
      state: { running: { startedAt: now } },
      ready: true,
      restartCount: 0,
      imageID: 'sha256:9f1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef0123456789abcdef',
      containerID: `runc://${metadata.uid}-${name}-0`,
      started: true,
    })),
    qosClass: 'Burstable',
  };
}
