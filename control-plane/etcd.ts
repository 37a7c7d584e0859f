/**
 * The control plane's etcd: a local one, started and supervised, alone or one of several; or a cluster that is there
 * already.
 */
import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { GantryError } from '../lib/errors.ts';
import type { ClusterPki } from '../lib/pki/cluster-pki.ts';
import { createEtcdStore, type EtcdStore } from '../lib/store/etcd.ts';
import type { EtcdServerOptions } from '../lib/store/etcd-launch.ts';
import type { EtcdMembers } from '../lib/store/etcd-members.ts';
import { type EtcdServer, type EtcdServerParts, startEtcdServer } from '../lib/store/etcd-server.ts';
import type { Store } from '../lib/store/store.ts';
import { keepLeadersApart } from './etcd-leadership.ts';
import {
  enterCluster,
  hasEtcdData,
  keepEndpoints,
  type Membership,
  type OwnMember,
  ownAmong,
  readMembership,
  untilDone,
  untilVoter,
  writeMembership,
} from './etcd-membership.ts';
import type { ControlPlaneFlags } from './options.ts';

export interface Etcd {
  readonly store: Store;
  /** Absent when etcd is not ours. */
  readonly members?: EtcdMembers;
  /** What fits into one transaction of this etcd. */
  readonly podsPerTransaction: number;
  /** Opens our etcd to other members; resolves with the addresses of all of them, none when etcd is not ours. */
  share(): Promise<readonly string[]>;
  /** While a term of ours lasts, as long as etcd is ours: it is led from another machine. */
  keepLeadersApart(term: AbortSignal): void;
  /** Closes the store, and ends etcd if it is ours. */
  stop(): Promise<void>;
}

/** Of the local etcd; an existing one is taken to have etcd's default, 128. */
const maxTxnOps = 4096;
/** A pod is a kilobyte or two and a request may have four megabytes; with etcd's defaults 128 operations. */
const podsPerTransaction = { local: 1000, external: 100 };
/** Watches that were away for less than this catch up without listing again. */
const history = '15m';

export interface EtcdParts extends EtcdServerParts {
  /** Our member was removed from the cluster. */
  readonly onRemoved?: () => void;
}

/** notFound when our member was removed while it was away. */
export async function startEtcd(flags: ControlPlaneFlags, pki: ClusterPki, parts: EtcdParts): Promise<Etcd> {
  return flags.etcdEndpoints.length > 0 ? useExisting(flags, parts) : startLocal(flags, pki, parts);
}

async function startLocal(flags: ControlPlaneFlags, pki: ClusterPki, parts: EtcdParts): Promise<Etcd> {
  const { dataDir } = flags;
  const onRemoved = parts.onRemoved ?? (() => {});
  const tls = { ca: pki.etcd.caPem, cert: pki.etcd.client.certPem, key: pki.etcd.client.keyPem };
  const own = ownMember(flags);
  const storeOf = (endpoints: readonly string[]): EtcdStore =>
    createEtcdStore({ endpoints, tls, maxOperations: maxTxnOps, ...parts });

  let membership = await readMembership(dataDir);
  const enters = membership !== undefined && !hasEtcdData(dataDir);
  if (membership && enters) {
    const initialCluster = await enterCluster(membership.endpoints, own, tls, parts);
    membership = { ...membership, initialCluster };
    await writeMembership(dataDir, membership);
  }
  let server: EtcdServer = await startEtcdServer(serverOptions(flags, pki, membership), parts);
  // Whoever has no vote yet is given it through the others; a member that has one finds itself among them.
  const store = storeOf(membership?.endpoints ?? [server.endpoint]);
  try {
    if (membership) await untilVoter(store, own, parts, { justEntered: enters });
  } catch (error) {
    await store.close();
    await server.stop();
    throw error;
  }
  let endUpkeep = membership ? keepEndpoints(store, own, dataDir, parts, onRemoved) : undefined;

  /** From alone to one of several: it listens for others, and tells them where. */
  const open = async (): Promise<void> => {
    parts.log.info({ peer: own.peerUrl }, 'opening etcd to other members');
    const shared = { endpoints: [own.clientAddress] };
    await writeMembership(dataDir, shared);
    await server.stop();
    server = await startEtcdServer(serverOptions(flags, pki, shared), parts);
    store.setEndpoints(shared.endpoints);
    endUpkeep = keepEndpoints(store, own, dataDir, parts, onRemoved);
  };
  const share = async (): Promise<void> => {
    if (!endUpkeep) await open();
    await untilDone('tell the etcd cluster our address', parts, () => tellPeerUrl(store, own));
  };
  let sharing: Promise<void> | undefined;
  return {
    store,
    members: store.members,
    podsPerTransaction: podsPerTransaction.local,
    async share() {
      // Several may want to join at once.
      sharing ??= share().finally(() => {
        sharing = undefined;
      });
      await sharing;
      return store.endpoints;
    },
    keepLeadersApart(signal) {
      void keepLeadersApart({ members: store.members, own, ...parts, signal });
    },
    async stop() {
      endUpkeep?.();
      await store.close();
      await server.stop();
    },
  };
}

function ownMember({ name, advertiseAddress, etcdClientPort, etcdPeerPort }: ControlPlaneFlags): OwnMember {
  const host = isIPv6(advertiseAddress) ? `[${advertiseAddress}]` : advertiseAddress;
  return { name, peerUrl: `https://${host}:${etcdPeerPort}`, clientAddress: `${host}:${etcdClientPort}` };
}

/** Alone it is nobody's business but ours, and listens on loopback. */
function serverOptions(
  flags: ControlPlaneFlags,
  { etcd }: ClusterPki,
  membership: Membership | undefined,
): EtcdServerOptions {
  const { ca, serverCert, serverKey } = etcd.files;
  return {
    dataDir: join(flags.dataDir, 'etcd'),
    name: flags.name,
    clientPort: flags.etcdClientPort,
    peerPort: flags.etcdPeerPort,
    tls: { caFile: ca, certFile: serverCert, keyFile: serverKey },
    autoCompaction: history,
    maxTxnOps,
    ...(membership && { host: flags.advertiseAddress, shared: true }),
    ...(membership?.initialCluster && { initialCluster: membership.initialCluster, joins: true }),
  };
}

async function tellPeerUrl({ members }: EtcdStore, own: OwnMember): Promise<void> {
  const member = ownAmong(await members.list(), own);
  if (member && member.peerUrl !== own.peerUrl) await members.setPeerUrl(member.id, own.peerUrl);
}

async function useExisting(flags: ControlPlaneFlags, { clock, log }: EtcdServerParts): Promise<Etcd> {
  const { etcdCacert, etcdCert, etcdKey, etcdEndpoints: endpoints } = flags;
  const given = [etcdCacert, etcdCert, etcdKey].filter((file) => file !== undefined);
  if (given.length !== 0 && given.length !== 3) {
    throw new GantryError(
      'invalidArgument',
      'give --etcd-cacert, --etcd-cert and --etcd-key together, or none of them',
    );
  }
  const [ca, cert, key] = await Promise.all(given.map((file) => readFile(file)));
  const tls = ca && cert && key ? { ca, cert, key } : undefined;
  const store = createEtcdStore({ endpoints, ...(tls && { tls }), clock, log });
  const podsPerTxn = podsPerTransaction.external;
  return {
    store,
    podsPerTransaction: podsPerTxn,
    share: async () => [],
    keepLeadersApart() {},
    stop: () => store.close(),
  };
}
