/**
 * What the policies of a namespace make of an object: LimitRanges give pods what they leave out and refuse what is out of
 * bounds; ResourceQuotas must have room, and are charged in the transaction that writes the object.
 *
 * In a namespace without them this costs two empty reads, made together.
 */
import { GantryError } from '../../lib/errors.ts';
import { keyOf, kindPrefix, parseKey } from '../../lib/model/keys.ts';
import { limitProblems, limitSentence, withLimitDefaults } from '../../lib/model/limit-range.ts';
import { revisionOf } from '../../lib/model/object.ts';
import { Allowance, forbidden, isCounted, kindsCountedBy } from '../../lib/model/quota.ts';
import { type Kind, kindInfo } from '../../lib/model/schema.ts';
import { modRevisionIs, putOf } from '../../lib/store/store.ts';
import type { KindMap, KubeObject, LimitRange, ResourceQuota } from '../../proto/gen/types.ts';
import type { Charge } from './delete.ts';
import type { ApiDependencies } from './dependencies.ts';

export interface Policies {
  readonly ranges: readonly LimitRange[];
  readonly quotas: readonly ResourceQuota[];
}

const none: Policies = { ranges: [], quotas: [] };
const limited: ReadonlySet<Kind> = new Set(['Pod', 'PersistentVolumeClaim']);

async function policiesFor(dependencies: ApiDependencies, { kind, metadata }: KubeObject): Promise<Policies> {
  const { namespace } = metadata;
  if (namespace === undefined || kind === 'Event') return none;
  const [ranges, quotas] = await Promise.all([
    limited.has(kind) ? listed(dependencies, 'LimitRange', namespace) : [],
    listed(dependencies, 'ResourceQuota', namespace),
  ]);
  return { ranges, quotas };
}

/** Whether a change of it can cost its quotas more than it did: what a pod asks for never changes. */
export function canCostMore({ kind }: KubeObject): boolean {
  return kind === 'Service';
}

/**
 * Runs `action` with the policies of the object's namespace. Where there are quotas, one after another: all of them
 * compare and write the same quotas, and would only make one another lose.
 */
export async function underPolicies<T>(
  dependencies: ApiDependencies,
  object: KubeObject,
  action: (object: KubeObject, policies: Policies) => Promise<T>,
): Promise<T> {
  const policies = await policiesFor(dependencies, object);
  const { turns } = dependencies;
  if (policies.quotas.length === 0 || !turns) return action(object, policies);
  return turns.take(object.metadata.namespace ?? '', async () =>
    action(object, await policiesFor(dependencies, object)),
  );
}

/** A pod with the defaults of its namespace; anything else as it is. Throws when it is out of bounds. */
export function withinLimits(given: KubeObject, { ranges }: Policies): KubeObject {
  if (ranges.length === 0) return given;
  const object = given.kind === 'Pod' ? withLimitDefaults(given, ranges) : given;
  const problems = limitProblems(object, ranges);
  if (problems.length === 0) return object;
  const { name, namespace } = ranges[0]!.metadata;
  const look = `ctl describe limitrange ${ranges.length === 1 ? `${name} ` : ''}-n ${namespace}`;
  throw refusal(forbidden(object, limitSentence(problems)), look);
}

/** What the object costs the quotas of its namespace; throws when one has no room. `before`: what it replaces. */
export async function chargeQuotas(
  dependencies: ApiDependencies,
  object: KubeObject,
  { quotas }: Policies,
  before?: KubeObject,
): Promise<Charge> {
  if (quotas.length === 0) return { compare: [], operations: [] };
  const uncounted = quotas.filter((quota) => !isCounted(quota));
  const counted = await objectsOfKinds(dependencies, uncounted.flatMap(kindsCountedBy), object.metadata.namespace);
  const allowance = new Allowance(quotas, (kind) => counted.get(kind) ?? [], dependencies.clock.nowMs());
  const refused = allowance.take(object, before);
  if (refused) {
    const { name, namespace } = refused.quota.metadata;
    throw refusal(refused.message, `ctl describe quota ${name} -n ${namespace}`);
  }
  const charged = allowance.charged();
  return {
    compare: charged.map((quota) => modRevisionIs(keyOf(quota), revisionOf(quota))),
    operations: charged.map((quota) => putOf(keyOf(quota), dependencies.codec.encode(quota))),
  };
}

function refusal(message: string, look: string): GantryError {
  return new GantryError('permissionDenied', `${message} (see: ${look})`);
}

/** The objects of a kind in a namespace. */
export async function listed<K extends Kind>(
  { store, codec }: ApiDependencies,
  kind: K,
  namespace: string,
): Promise<KindMap[K][]> {
  const { items } = await store.list(kindPrefix(kind, namespace));
  return items.flatMap(({ key, value, modRevision }) => (codec.decode(key, value, modRevision) as KindMap[K]) ?? []);
}

const measured: ReadonlySet<Kind> = new Set(['Pod', 'Service', 'PersistentVolumeClaim']);

/** Of most kinds only that an object is there matters, whether it can be read or not. */
async function objectsOfKinds(
  dependencies: ApiDependencies,
  kinds: readonly Kind[],
  namespace = 'default',
): Promise<ReadonlyMap<Kind, readonly KubeObject[]>> {
  const lists = [...new Set(kinds)].map(async (kind): Promise<[Kind, readonly KubeObject[]]> => {
    if (measured.has(kind)) return [kind, await listed(dependencies, kind, namespace)];
    const { items } = await dependencies.store.list(kindPrefix(kind, namespace), { keysOnly: true });
    return [kind, items.map(({ key }) => nameOnly(kind, key))];
  });
  return new Map(await Promise.all(lists));
}

function nameOnly(kind: Kind, key: string): KubeObject {
  const { namespace, name } = parseKey(key)!;
  return { apiVersion: kindInfo(kind).apiVersion, kind, metadata: { name, namespace } } as KubeObject;
}
