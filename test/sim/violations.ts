/** What must never happen, by name. Each has a planted bug that proves its checker (planted.test.ts). */
export const invariants = {
  'one-node-per-pod': 'no pod uid runs on two nodes',
  'strict-once': 'no identity of a strict StatefulSet runs twice at once',
  'stop-after-once': 'no identity of a stop-after StatefulSet runs twice at once',
  'fenced-node': 'a pod that must not run twice is never left on a node that is gone',
  'told-deleted': 'no agent is told that its node was deleted while it is there',
  'one-pod-per-ip': 'no address belongs to two live pods',
  'no-overcommit': "the requests of a node's pods fit into its allocatable",
  'leader-writes': 'no write of a deposed leader lands',
  'acknowledged-writes': 'no write that a client saw succeed is lost',
  'fresh-reads': 'a read shows every write that was acknowledged before it began',
  finalizers: 'nothing goes while somebody holds it',
  orphans: 'what was to outlive its owner does',
  budgets: 'evictions are charged to the budgets over them',
  autoscaling: 'nobody but an autoscaler scales what users made, and it stays within its bounds',
  limits: 'pods are made within the limit ranges of their namespace',
  'one-claim-per-volume': 'a claim is bound to one volume, a volume to one claim, for good',
  'volume-node': 'a pod with a local volume runs where that is',
  'volume-data': 'no data of a claim goes while the claim is there',
  configuration: 'the content of a revision never changes, and pods that follow their configuration run with it',
  quotas: 'what is created fits into the quotas of its namespace',
  'watch-order': 'every watcher sees every event once, in the order of revisions',
  'mirror-exact': "a replica's picture equals the store at its revision",
  converges: 'every workload converges within 120 s of healing',
  'no-leaks': 'nothing is left behind on any host or in the store',
  'comes-to-rest': 'nobody goes on writing when there is nothing to do',
  'no-crash': 'no process ends by a mistake of its own',
} as const;

export type Invariant = keyof typeof invariants;

export interface Violation {
  readonly invariant: Invariant;
  readonly atMs: number;
  readonly message: string;
}
