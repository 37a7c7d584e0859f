/** The control plane's etcd: a local one, started and supervised, or a cluster that is there already. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GantryError } from '../lib/errors.ts';
import type { ClusterPki } from '../lib/pki/cluster-pki.ts';
import { createEtcdStore } from '../lib/store/etcd.ts';
import { type EtcdServer, type EtcdServerParts, startEtcdServer } from '../lib/store/etcd-server.ts';
import type { Store } from '../lib/store/store.ts';
import type { ControlPlaneFlags } from './options.ts';

export interface Etcd {
  readonly store: Store;
  /** What fits into one transaction of this etcd. */
  readonly podsPerTransaction: number;
  /** Closes the store, and ends etcd if it is ours. */
  stop(): Promise<void>;
}

/** Of the local etcd; an existing one is taken to have etcd's default, 128. */
const maxTxnOps = 4096;
/** A pod is two kilobytes or so and a request may have four megabytes; with etcd's defaults 128 operations. */
const podsPerTransaction = { local: 300, external: 100 };
/** Watches that were away for less than this catch up without listing again. */
const history = '15m';

export async function startEtcd(flags: ControlPlaneFlags, pki: ClusterPki, parts: EtcdServerParts): Promise<Etcd> {
  return flags.etcdEndpoints.length > 0 ? useExisting(flags, parts) : startLocal(flags, pki, parts);
}

async function startLocal(flags: ControlPlaneFlags, { etcd }: ClusterPki, parts: EtcdServerParts): Promise<Etcd> {
  const { ca, serverCert, serverKey } = etcd.files;
  const options = {
    dataDir: join(flags.dataDir, 'etcd'),
    name: flags.name,
    clientPort: flags.etcdClientPort,
    peerPort: flags.etcdPeerPort,
    tls: { caFile: ca, certFile: serverCert, keyFile: serverKey },
    autoCompaction: history,
    maxTxnOps,
  };
  const server: EtcdServer = await startEtcdServer(options, parts);
  const store = createEtcdStore({
    endpoints: [server.endpoint],
    tls: { ca: etcd.caPem, cert: etcd.client.certPem, key: etcd.client.keyPem },
    maxOperations: maxTxnOps,
    clock: parts.clock,
    log: parts.log,
  });
  return {
    store,
    podsPerTransaction: podsPerTransaction.local,
    async stop() {
      await store.close();
      await server.stop();
    },
  };
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
  return { store, podsPerTransaction: podsPerTransaction.external, stop: () => store.close() };
}
