/**
 * A joining node's place in the cluster: its Node object and its pod range, made in one transaction the first time and
 * kept ever after. Any replica may do it: the transaction itself excludes the others, no leader is needed.
 */
import { type Clock, timestamp } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import { nodeCIDRKey } from '../../lib/model/allocations.ts';
import { conditionStatus, setCondition } from '../../lib/model/conditions.ts';
import { dnsSubdomainProblem } from '../../lib/model/formats.ts';
import { objectKey } from '../../lib/model/keys.ts';
import type { Random } from '../../lib/random.ts';
import { absent, type Compare, modRevisionIs, type Operation, putOf, type Store } from '../../lib/store/store.ts';
import { transactOnce } from '../../lib/store/transact-once.ts';
import type { Node } from '../../proto/gen/types.ts';
import type { ObjectCodec } from '../state/object-codec.ts';
import { NodeRanges } from './node-ranges.ts';

export interface RegistrationDependencies {
  readonly store: Store;
  readonly codec: ObjectCodec;
  readonly clock: Clock;
  readonly random: Random;
  readonly clusterCIDR: string;
}

export interface Applicant {
  readonly name: string;
  readonly machineID: string;
}

const attempts = 10;
/** A label's value, too. */
const longestName = 63;

/** Returns the node as it is stored afterwards. Joining again is a success that changes nothing. */
export async function registerNode(
  applicant: Applicant,
  dependencies: RegistrationDependencies,
  ranges: NodeRanges = new NodeRanges(dependencies),
): Promise<Node> {
  const { name } = applicant;
  const problem = name.length > longestName ? `it has more than ${longestName} characters` : dnsSubdomainProblem(name);
  if (problem) throw new GantryError('invalidArgument', `this cannot be a node's name: ${problem}`);
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const node = await tryRegister(applicant, dependencies, ranges);
    if (node) return node;
    ranges.forget();
  }
  throw new GantryError('aborted', `node ${applicant.name} could not be registered among many others; try again`);
}

/** Undefined when the race was lost. */
async function tryRegister(
  applicant: Applicant,
  dependencies: RegistrationDependencies,
  ranges: NodeRanges,
): Promise<Node | undefined> {
  const { store, codec, clock } = dependencies;
  const key = objectKey('Node', undefined, applicant.name);
  const { kv } = await store.get(key);
  const stored = kv && (codec.decode(key, kv.value, kv.modRevision) as Node);
  if (stored) refuseTakenName(applicant, stored);
  if (stored?.spec.podCIDR) return stored;

  const choice = await choose(applicant, dependencies, ranges);
  const cidrKey = nodeCIDRKey(choice.podCIDR);
  const node = stored
    ? { ...stored, spec: { ...stored.spec, podCIDR: choice.podCIDR } }
    : newNode(applicant, choice.podCIDR, dependencies);
  const compare: Compare[] = [
    kv ? modRevisionIs(key, kv.modRevision) : absent(key),
    choice.replaces === 0n ? absent(cidrKey) : modRevisionIs(cidrKey, choice.replaces),
  ];
  const success: Operation[] = [
    putOf(key, codec.encode(node)),
    putOf(cidrKey, new TextEncoder().encode(applicant.name)),
  ];
  const { succeeded, revision } = await transactOnce(store, { compare, success }, { clock });
  if (!succeeded) return undefined;
  await ranges.record(choice.podCIDR, { nodeName: applicant.name, modRevision: revision });
  return { ...node, metadata: { ...node.metadata, resourceVersion: revision.toString() } };
}

async function choose({ name }: Applicant, { clusterCIDR }: RegistrationDependencies, ranges: NodeRanges) {
  const choice = await ranges.choose(name);
  if (choice) return choice;
  throw new GantryError(
    'resourceExhausted',
    `cluster CIDR ${clusterCIDR} has no range left for node ${name}; delete nodes that are gone (ctl delete node NAME)`,
  );
}

function refuseTakenName({ name, machineID }: Applicant, stored: Node): void {
  const owner = stored.status?.nodeInfo?.machineID;
  if (conditionStatus(stored.status?.conditions, 'Ready') !== 'True' || !owner || owner === machineID) return;
  throw new GantryError(
    'alreadyExists',
    `the name ${name} belongs to a node that is Ready on another machine (${owner}); give this node another --node-name, ` +
      'or stop that one first',
  );
}

function newNode({ name }: Applicant, podCIDR: string, { clock, random }: RegistrationDependencies): Node {
  const nowMs = clock.nowMs();
  const ready = {
    type: 'Ready',
    status: 'Unknown' as const,
    reason: 'NodeStatusNeverUpdated',
    message: 'the node has joined; its agent has not opened a session yet',
  };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      uid: random.uuid(),
      generation: 1,
      creationTimestamp: timestamp(nowMs),
      labels: { 'kubernetes.io/hostname': name },
    },
    spec: { podCIDR },
    status: { conditions: setCondition(undefined, ready, nowMs) },
  };
}
