/** Reading and writing single objects in the store, for the handlers. */
import { GantryError } from '../../lib/errors.ts';
import { defaultNamespace } from '../../lib/model/defaults.ts';
import { objectKey } from '../../lib/model/keys.ts';
import { type Kind, type KindInfo, kindInfo } from '../../lib/model/schema.ts';
import { AmbiguousWriteError, type Transaction, type TransactionResult } from '../../lib/store/store.ts';
import { transactOnce } from '../../lib/store/transact-once.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import type { ApiDependencies } from './dependencies.ts';

/** What a request names. */
export interface Target {
  readonly kind: Kind;
  /** undefined for kinds without. */
  readonly namespace: string | undefined;
  readonly name: string;
  readonly key: string;
}

interface NamedRequest {
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
}

export function requestedKind(request: { readonly kind?: string }): KindInfo {
  if (!request.kind) throw new GantryError('invalidArgument', 'kind: required; for example Pod');
  return kindInfo(request.kind);
}

export function targetOf(request: NamedRequest): Target {
  const { kind, clusterScoped } = requestedKind(request);
  if (!request.name) throw new GantryError('invalidArgument', `name: required; which ${kind} is meant?`);
  const namespace = clusterScoped ? undefined : request.namespace || defaultNamespace;
  for (const part of [request.name, namespace ?? '']) checkKeyPart(part);
  return { kind, namespace, name: request.name, key: objectKey(kind, namespace, request.name) };
}

export function targetOfObject({ kind, metadata }: KubeObject): Target {
  return targetOf({ kind, name: metadata.name, ...(metadata.namespace && { namespace: metadata.namespace }) });
}

/** An Event's: that of its object, and a hash. */
const longestName = 300;

/** Names become parts of keys; one with a slash would name something else. */
export function checkKeyPart(part: string): void {
  if (part.length <= longestName && /^[\x21-\x2e\x30-\x7e]*$/.test(part)) return;
  const rule = `use at most ${longestName} letters, digits, "-" and "."`;
  throw new GantryError('invalidArgument', `${JSON.stringify(part.slice(0, 100))} is not a name; ${rule}`);
}

/** `Deployment "web"`. */
export function nameOf({ kind, metadata }: KubeObject): string {
  return `${kind} ${JSON.stringify(metadata?.name || `${metadata?.generateName ?? ''}...`)}`;
}

export async function readObject(
  { store, codec, upToDate }: ApiDependencies,
  target: Target,
): Promise<KubeObject | undefined> {
  // What the mirror does not show may be there nevertheless, and unreadable: the store has the last word.
  const shown = (await upToDate?.({ key: target.key }))?.byKey(target.key);
  if (shown) return shown;
  const { kv } = await store.get(target.key);
  return kv && codec.decode(target.key, kv.value, kv.modRevision);
}

export async function readExisting(dependencies: ApiDependencies, target: Target): Promise<KubeObject> {
  return (await readObject(dependencies, target)) ?? raise(notFound(target));
}

export function notFound({ kind, namespace, name }: Target): GantryError {
  const where = namespace === undefined ? '' : ` in namespace ${JSON.stringify(namespace)}`;
  return new GantryError('notFound', `${kindInfo(kind).plural} ${JSON.stringify(name)} not found${where}`);
}

export function raise(error: Error): never {
  throw error;
}

export function withRevision<T extends KubeObject>(object: T, revision: bigint): T {
  return { ...object, metadata: { ...object.metadata, resourceVersion: revision.toString() } };
}

const writeTimeoutMs = 8000;
const removalAttempts = 5;

/** A transaction that puts; one whose answer is lost is settled by reading back before anybody is told anything. */
export async function write(
  dependencies: Pick<ApiDependencies, 'store' | 'clock' | 'signal'>,
  transaction: Transaction,
): Promise<TransactionResult> {
  dependencies.signal?.throwIfAborted();
  return transactOnce(dependencies.store, transaction, { clock: dependencies.clock, timeoutMs: writeTimeoutMs });
}

/** A transaction that deletes `key` at a revision. After a lost answer: gone, or not yet and tried again. */
export async function writeRemoval(
  { store, clock, signal }: ApiDependencies,
  key: string,
  transaction: Transaction,
): Promise<TransactionResult> {
  signal?.throwIfAborted();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await store.transact(transaction);
    } catch (error) {
      if (!(error instanceof AmbiguousWriteError) || attempt === removalAttempts) throw error;
    }
    const { kv, revision } = await store.get(key);
    if (!kv) return { succeeded: true, revision, responses: [] };
    await clock.sleep(100);
  }
}

const attempts = 20;
/** Beyond this many losses it is a crowd, and waiting a little lets others through. */
const patientAfter = 3;
const pauseMs = 5;

/** Runs `attempt` until it answers; undefined means that it lost a race and reads afresh. */
export async function retryConflicts<T>(
  { clock, random, signal }: ApiDependencies,
  what: string,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  for (let lost = 0; lost < attempts; lost += 1) {
    if (lost > patientAfter) await clock.sleep(random.next() * pauseMs * (lost - patientAfter), signal);
    const result = await attempt();
    if (result !== undefined) return result;
  }
  throw new GantryError('aborted', `${what} is being written by many at once; try again`);
}

export function staleError(what: string, current: KubeObject): GantryError {
  const message = `${what} was changed by somebody else (it is at resourceVersion ${current.metadata.resourceVersion})`;
  return new GantryError('aborted', `${message}; get it again and repeat the change`);
}
