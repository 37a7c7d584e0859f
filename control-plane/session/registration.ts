/**
 * A joining node's place in the cluster: its Node object and its pod range, made in one transaction the first time and
 * kept ever after. Any replica may do it: the transaction itself excludes the others, no leader is needed.
 */
import { type Clock, timestamp } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import { nodeCIDRKey, nodeCIDRPrefix } from '../../lib/model/allocations.ts';
import { conditionStatus, setCondition } from '../../lib/model/conditions.ts';
import { dnsSubdomainProblem } from '../../lib/model/formats.ts';
import { kindPrefix, objectKey } from '../../lib/model/keys.ts';
import type { Random } from '../../lib/random.ts';
import {
  absent,
  type Compare,
  type KeyValue,
  modRevisionIs,
  type Operation,
  putOf,
  type Store,
} from '../../lib/store/store.ts';
import { transactOnce } from '../../lib/store/transact-once.ts';
import type { Node } from '../../proto/gen/types.ts';
import type { ObjectCodec } from '../state/object-codec.ts';
import { type CidrOwner, chooseNodeCidr } from './node-cidr.ts';

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
export async function registerNode(applicant: Applicant, dependencies: RegistrationDependencies): Promise<Node> {
  const { name } = applicant;
  const problem = name.length > longestName ? `it has more than ${longestName} characters` : dnsSubdomainProblem(name);
  if (problem) throw new GantryError('invalidArgument', `this cannot be a node's name: ${problem}`);
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const node = await tryRegister(applicant, dependencies);
    if (node) return node;
  }
  throw new GantryError('aborted', `node ${applicant.name} could not be registered among many others; try again`);
}

/** Undefined when the race was lost. */
async function tryRegister(applicant: Applicant, dependencies: RegistrationDependencies): Promise<Node | undefined> {
  const { store, codec, clock } = dependencies;
  const key = objectKey('Node', undefined, applicant.name);
  const { kv } = await store.get(key);
  const stored = kv && (codec.decode(key, kv.value, kv.modRevision) as Node);
  if (stored) refuseTakenName(applicant, stored);
  if (stored?.spec.podCIDR) return stored;

  const choice = await choose(applicant, dependencies);
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
  return { ...node, metadata: { ...node.metadata, resourceVersion: revision.toString() } };
}

async function choose({ name }: Applicant, { store, clusterCIDR }: RegistrationDependencies) {
  const [allocations, nodes] = await Promise.all([
    store.list(nodeCIDRPrefix),
    store.list(kindPrefix('Node'), { keysOnly: true }),
  ]);
  const existing = new Set(nodes.items.map(({ key }) => key));
  const owners = new Map(allocations.items.map((kv): [string, CidrOwner] => [kv.key, ownerOf(kv)]));
  const exists = (nodeName: string): boolean => existing.has(objectKey('Node', undefined, nodeName));
  const choice = chooseNodeCidr(name, clusterCIDR, owners, exists);
  if (choice) return choice;
  throw new GantryError(
    'resourceExhausted',
    `cluster CIDR ${clusterCIDR} has no range left for node ${name}; delete nodes that are gone (ctl delete node NAME)`,
  );
}

const ownerOf = (kv: KeyValue): CidrOwner => ({
  nodeName: new TextDecoder().decode(kv.value),
  modRevision: kv.modRevision,
});

function refuseTakenName({ name, machineID }: Applicant, stored: Node): void {
  const owner = stored.status?.nodeInfo?.machineID;
  if (conditionStatus(stored.status?.conditions, 'Ready') !== 'True' || !owner || owner === machineID) return;
  throw new GantryError(
    'alreadyExists',
    `the name ${name} belongs to a node that is Ready on another machine (${owner}); give this node another --name, ` +
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
