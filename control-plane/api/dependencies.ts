/** What the API stands on. Everything that other parts of the control plane answer comes in as handlers. */
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { Handlers } from '../../lib/rpc/serve-call.ts';
import type { Store } from '../../lib/store/store.ts';
import type { ObjectCodec } from '../state/object-codec.ts';
import type { UpToDate } from '../state/up-to-date.ts';
import type { Overlaps } from './overlaps.ts';
import type { Turns } from './turns.ts';

export interface ApiConfig {
  readonly clusterCIDR: string;
  readonly serviceCIDR: string;
  /** In the service CIDR; never given to a service. */
  readonly dnsIP: string;
  readonly zone: string;
  readonly version: string;
  /** The strategy behind `default-scheduler`. */
  readonly defaultScheduler: string;
  readonly etcdVersion?: string;
}

export type ClusterHandlers = Handlers<'Cluster'>;

export interface ApiDependencies {
  readonly store: Store;
  /** Seals Secrets: sealedCodec of ../state/object-codec.ts. */
  readonly codec: ObjectCodec;
  /** The mirror, to read from instead of the store; absent: the store is read. */
  readonly upToDate?: UpToDate;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly config: ApiConfig;
  /** Who leads, for GetClusterInfo; undefined while nobody does. */
  readonly leader?: () => string | undefined | Promise<string | undefined>;
  /** From control-plane/session. */
  readonly logsAndExec?: Pick<ClusterHandlers, 'Logs' | 'Exec'>;
  /** From control-plane/session: proxyHandlers. */
  readonly stats?: Pick<ClusterHandlers, 'GetPodStats' | 'GetNodeStats'>;
  /** From control-plane/session: tokenHandlers. */
  readonly tokens?: Pick<ClusterHandlers, 'CreateToken' | 'ListTokens' | 'RevokeToken'>;
  /** From control-plane/scheduler: schedulingHandlers. */
  readonly scheduling?: Pick<ClusterHandlers, 'ExplainPending' | 'Simulate'>;
  /** From control-plane: membershipHandlers. */
  readonly membership?: Pick<ClusterHandlers, 'ListControlPlanes' | 'RemoveControlPlane'>;
  /** From control-plane/dns. */
  readonly resolve?: ClusterHandlers['Resolve'];
  /** Which other workloads select the same pods: ./overlaps.ts. */
  readonly overlaps?: Overlaps;
  /** Writes that are charged to the quotas of one namespace, one after another. */
  readonly turns?: Turns;
  /** After how long a watch that nobody reads ends; for tests. */
  readonly watchStallMs?: number;
  /** Of one call: aborted when its client has given up. Nothing is written from then on. */
  readonly signal?: AbortSignal;
}
