/** A simulated control plane replica: the production `startControlPlane` on simulated time, store and wires. */

import { authorize } from '../../control-plane/api/roles.ts';
import { type ControlPlane, startControlPlane } from '../../control-plane/control-plane.ts';
import { registerNode } from '../../control-plane/session/registration.ts';
import type { ObjectCodec } from '../../control-plane/state/object-codec.ts';
import { GantryError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Authority } from '../../lib/pki/certificates.ts';
import type { Handlers } from '../../lib/rpc/serve-call.ts';
import { ReloadableTls } from '../../lib/rpc/tls.ts';
import { SimProcess } from './process.ts';
import type { Rpc } from './rpc.ts';
import { createSimStore, type SimEtcd, type StorePlants, servedOperation } from './store.ts';
import type { World } from './world.ts';

export interface ReplicaOptions {
  readonly name: string;
  readonly clockRate: number;
  readonly etcd: SimEtcd;
  readonly codec: ObjectCodec;
  readonly authority: Authority;
  readonly plants: StorePlants;
  readonly log: (process: SimProcess) => Log;
  /** A programmer's mistake ended the replica. */
  readonly onBug: (process: SimProcess, error: unknown) => void;
  readonly onStarted: (process: SimProcess, controlPlane: ControlPlane) => void;
}

export const clusterNetworks = {
  clusterCIDR: '10.42.0.0/16',
  serviceCIDR: '10.43.0.0/16',
  dnsIP: '10.43.0.10',
  zone: 'cluster.local',
} as const;

export const addressOfReplica = (name: string): string => `${name}:6443`;

export class SimReplica {
  readonly name: string;
  process: SimProcess | undefined;
  controlPlane: ControlPlane | undefined;
  readonly #world: World;
  readonly #rpc: Rpc;
  readonly #options: ReplicaOptions;
  #starts = 0;

  constructor(world: World, rpc: Rpc, options: ReplicaOptions) {
    this.#world = world;
    this.#rpc = rpc;
    this.#options = options;
    this.name = options.name;
  }

  start(): void {
    if (this.process?.alive) return;
    this.#starts += 1;
    const { name, clockRate, onBug } = this.#options;
    const process = new SimProcess(this.#world, { name, host: name, clockRate });
    this.process = process;
    this.#world.trace(name, `control plane starts (${this.#starts})`);
    this.#run(process).catch((error: unknown) => {
      if (!process.alive) return;
      onBug(process, error);
      process.kill();
    });
  }

  kill(): void {
    this.process?.kill();
    this.controlPlane = undefined;
  }

  async #run(process: SimProcess): Promise<void> {
    const { name, etcd, codec, authority, plants, onStarted } = this.#options;
    const { clock, random } = process;
    const log = this.#options.log(process);
    const { store, eachWrite } = createSimStore(process, this.#rpc.network, etcd, plants);
    const controlPlane = await startControlPlane(
      { store, eachWrite, codec, clock, random, log, authority, tls: noTls },
      {
        name,
        address: addressOfReplica(name),
        ...clusterNetworks,
        defaultScheduler: 'least-loaded',
        nodeLeaseMs: 3_000,
        nodeHeartbeatMs: 1_000,
        leaderLeaseMs: 2_000,
        podsPerTransaction: 40,
        version: 'sim',
      },
      new AbortController().signal,
    );
    this.controlPlane = controlPlane;
    process.picture = controlPlane.state;
    onStarted(process, controlPlane);
    const joining = { store, codec, clock, random, clusterCIDR: clusterNetworks.clusterCIDR };
    const Bootstrap: Handlers<'Bootstrap'> = {
      async Join({ nodeName = '', machineID = '' }) {
        await servedOperation.run(`join ${nodeName}`, () => registerNode({ name: nodeName, machineID }, joining));
        return {};
      },
    };
    this.#rpc.serve(addressOfReplica(name), {
      process,
      services: { ...plantedIn(controlPlane.api, plants), Bootstrap },
      authorize,
    });
    controlPlane.lead();
    await controlPlane.finished;
    throw new GantryError('internal', 'the control plane ended by itself');
  }
}

/** Certificates play no part: peers are named by the simulated wires. */
const noTls = new ReloadableTls({ caPem: '', certPem: '', keyPem: '' });

function plantedIn(api: ControlPlane['api'], { watched }: StorePlants): ControlPlane['api'] {
  if (!watched) return api;
  const { Watch } = api.Cluster;
  return {
    ...api,
    Cluster: {
      ...api.Cluster,
      async *Watch(request, context) {
        for await (const event of Watch(request, context)) if (watched(event)) yield event;
      },
    },
  };
}
