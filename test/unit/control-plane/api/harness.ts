/** The Cluster service over the memory store, called as a client would, without the wire. */

import { ensureDefaults } from '../../../../control-plane/api/bootstrap.ts';
import { createClusterService } from '../../../../control-plane/api/cluster-service.ts';
import type { ApiDependencies, ClusterHandlers } from '../../../../control-plane/api/dependencies.ts';
import { followStore } from '../../../../control-plane/state/follow.ts';
import { sealedCodec } from '../../../../control-plane/state/object-codec.ts';
import { upToDateState } from '../../../../control-plane/state/up-to-date.ts';
import { systemClock } from '../../../../lib/clock.ts';
import type { Log } from '../../../../lib/log.ts';
import { fromEnvelope, toEnvelope } from '../../../../lib/model/codec.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { fromManifest, problemLine } from '../../../../lib/model/manifest.ts';
import { createKeyring } from '../../../../lib/model/stored.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type { CallContext } from '../../../../lib/rpc/serve-call.ts';
import { createMemoryStore, type MemoryStore } from '../../../../lib/store/memory.ts';
import { putOf } from '../../../../lib/store/store.ts';
import type { KubeObject } from '../../../../proto/gen/types.ts';

export interface Harness {
  readonly store: MemoryStore;
  readonly api: ClusterHandlers;
  readonly dependencies: ApiDependencies;
  /** The audit lines, in order. */
  readonly audit: Record<string, unknown>[];
  create<T extends KubeObject>(object: T, dryRun?: boolean): Promise<T>;
  apply<T extends KubeObject>(
    object: T,
    options?: { fieldManager?: string; dryRun?: boolean },
  ): Promise<{ object: T; result: string; warnings: readonly string[] }>;
  get<T extends KubeObject>(kind: string, name: string, namespace?: string): Promise<T>;
  /** Writes as a controller or an agent would: past the API. */
  put(object: KubeObject): Promise<void>;
}

export function contextOf(organization = 'admin', signal = new AbortController().signal): CallContext {
  return { peer: { commonName: 'somebody', organization, address: '10.0.0.1:1' }, signal, setTrailer() {} };
}

export const admin = contextOf();

export async function createHarness(given: Partial<ApiDependencies> = {}): Promise<Harness> {
  const store = createMemoryStore({ clock: systemClock });
  const random = seededRandom(1);
  const codec = sealedCodec(createKeyring(new Uint8Array(32).fill(7), random));
  const audit: Record<string, unknown>[] = [];
  const log: Log = {
    debug() {},
    warn() {},
    error() {},
    info: (fields) => void ('audit' in fields && audit.push(fields.audit as Record<string, unknown>)),
    child: () => log,
  };
  const config = {
    clusterCIDR: '10.42.0.0/16',
    serviceCIDR: '10.43.0.0/16',
    dnsIP: '10.43.0.10',
    zone: 'cluster.local',
    version: '0.0.0',
    defaultScheduler: 'least-loaded',
  };
  const parts = { codec, clock: systemClock, random, log };
  const state = followStore({ store, ...parts, signal: new AbortController().signal });
  const upToDate = upToDateState({ store, state, clock: systemClock });
  // The mirror is of the store that is made here: with another one the API reads that.
  const mirror = given.store === undefined ? { upToDate } : {};
  const dependencies: ApiDependencies = { store, ...parts, ...mirror, config, ...given };
  await ensureDefaults(dependencies);
  const api = createClusterService(dependencies);
  const objectOf = <T extends KubeObject>(answer: { object?: object }): T => fromEnvelope(answer.object) as T;
  return {
    store,
    api,
    dependencies,
    audit,
    create: async (object, dryRun = false) => objectOf(await api.Create({ object: toEnvelope(object), dryRun }, admin)),
    async apply(object, options = {}) {
      const answer = await api.Apply({ object: toEnvelope(object), ...options }, admin);
      return { object: objectOf(answer), result: answer.result ?? '', warnings: answer.warnings ?? [] };
    },
    get: async (kind, name, namespace = 'default') => objectOf(await api.Get({ kind, name, namespace }, admin)),
    async put(object) {
      await store.transact({ compare: [], success: [putOf(keyOf(object), codec.encode(object))] });
    },
  };
}

/** A manifest that is meant to be right, as an object. */
export function manifest<T extends KubeObject>(value: unknown): T {
  const { object, problems } = fromManifest(value);
  if (!object) throw new Error(problems.map(problemLine).join('\n'));
  return object as T;
}

export const deploymentManifest = (name = 'web', spec: object = {}): unknown => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'web', image: 'nginx:1' }] },
    },
    ...spec,
  },
});

export const podManifest = (name: string, labels: object = {}, spec: object = {}): unknown => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels },
  spec: { containers: [{ name: 'main', image: 'busybox:1' }], ...spec },
});

export const serviceManifest = (name: string, spec: object = {}): unknown => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: name }, ports: [{ port: 80 }], ...spec },
});

export const configMapManifest = (name: string, data: object = { a: '1' }, metadata: object = {}): unknown => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  data,
});
