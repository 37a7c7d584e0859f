/** `ctl set env`: variables of the containers of a workload or Pod. */
import { GantryError } from '../../lib/errors.ts';
import { isSame } from '../../lib/model/object.ts';
import type { Container, EnvVar, PodSpec } from '../../proto/gen/types.ts';
import type { Context } from '../context.ts';
import { dryRunMode, dryRunSuffix } from '../dry-run.ts';
import { getObject } from '../objects.ts';
import { changePodSpec, podSpecOf } from '../pod-specs.ts';
import { parseTargets, qualifiedName } from '../resources.ts';
import { forEach, objectOf, type SelectOptions, selectReferences } from '../selection.ts';

export interface SetEnvOptions extends SelectOptions {
  readonly containers?: string;
  readonly env?: readonly string[];
  readonly from?: string;
  readonly keys?: string;
  readonly prefix?: string;
  readonly overwrite?: boolean;
  readonly list?: boolean;
  readonly dryRun?: string;
}

export interface EnvChanges {
  readonly wanted: readonly EnvVar[];
  readonly removed: ReadonlySet<string>;
}

const isChange = (word: string): boolean => word.includes('=') || word.endsWith('-');

export async function setEnv(context: Context, words: readonly string[], options: SetEnvOptions): Promise<void> {
  const { env = [], from, list = false, containers = '*', overwrite = true } = options;
  const { wanted, removed } = parseChanges([...words.filter(isChange), ...env]);
  const changes: EnvChanges = { wanted: [...wanted, ...(await variablesFrom(context, options))], removed };
  const isAny = changes.wanted.length + removed.size > 0 || from !== undefined;
  if (list && isAny)
    throw new GantryError('invalidArgument', '--list shows variables; leave out what sets or removes them');
  if (!list && !isAny) {
    throw new GantryError(
      'invalidArgument',
      'at least one environment variable is required: KEY=VALUE, KEY- or --from',
    );
  }
  const mode = dryRunMode(options.dryRun);
  if (mode === 'client') throw new GantryError('invalidArgument', 'not supported: --dry-run=client; use server');
  const named = words.filter((word) => !isChange(word));
  const references = await selectReferences(context, named, options);
  await forEach(context, references, async (reference) => {
    const { kind, name } = reference;
    if (list) {
      const chosen = chosenContainers(podSpecOf(await objectOf(context, reference)), containers);
      return context.write(chosen.map((one) => listing(`${kind} ${name}`, one)).join(''));
    }
    const change = (spec: PodSpec): PodSpec | undefined => withEnv(spec, changes, containers, overwrite);
    const changed = await changePodSpec(context, reference, change, mode === 'server');
    if (changed) context.write(`${qualifiedName(kind, name)} env updated${dryRunSuffix(mode)}\n`);
  });
}

function parseChanges(words: readonly string[]): EnvChanges {
  const wanted = new Map<string, EnvVar>();
  const removed = new Set<string>();
  for (const word of words) {
    const at = word.indexOf('=');
    const name = at < 0 ? word.replace(/-$/, '') : word.slice(0, at);
    if (name === '' || (at < 0 && !word.endsWith('-'))) {
      throw new GantryError('invalidArgument', `"${word}": write KEY=VALUE to set a variable, KEY- to remove one`);
    }
    if (at < 0) removed.add(name);
    else wanted.set(name, { name, value: word.slice(at + 1) });
  }
  const both = [...removed].find((name) => wanted.has(name));
  if (both === undefined) return { wanted: [...wanted.values()], removed };
  throw new GantryError('invalidArgument', `"${both}" is to be set and to be removed; leave one of the two out`);
}

/** --from: names are as kubectl makes them of keys. */
async function variablesFrom(context: Context, { from, keys, prefix = '' }: SetEnvOptions): Promise<EnvVar[]> {
  if (from === undefined) return [];
  const [target] = parseTargets([from]);
  const { info, name } = target!;
  if ((info.kind !== 'ConfigMap' && info.kind !== 'Secret') || name === undefined) {
    throw new GantryError('invalidArgument', `--from=${from}: name configmap/NAME or secret/NAME`);
  }
  const { data = {} } = await getObject(context, info.kind, name);
  const asked = keys?.split(',').filter(Boolean);
  const unknown = asked?.find((key) => !Object.hasOwn(data, key));
  if (unknown !== undefined) {
    const known = Object.keys(data).join(', ') || 'none';
    throw new GantryError('notFound', `${from} has no key "${unknown}"; it has ${known}`);
  }
  const referenceField = info.kind === 'Secret' ? 'secretKeyRef' : 'configMapKeyRef';
  return (asked ?? Object.keys(data).sort()).map((key) => ({
    name: `${prefix}${key.toUpperCase().replace(/[^A-Z0-9_]/g, '_')}`,
    valueFrom: { [referenceField]: { name, key } },
  }));
}

/** Pure. Undefined when all is as wanted. */
export function withEnv(spec: PodSpec, changes: EnvChanges, pattern: string, overwrite: boolean): PodSpec | undefined {
  const chosen = new Set(chosenContainers(spec, pattern));
  const change = (containers: readonly Container[]): Container[] =>
    containers.map((container) =>
      chosen.has(container) ? changedContainer(container, changes, overwrite) : container,
    );
  const after: PodSpec = {
    ...spec,
    containers: change(spec.containers),
    ...(spec.initContainers && { initContainers: change(spec.initContainers) }),
  };
  return isSame(after, spec) ? undefined : after;
}

function changedContainer(container: Container, { wanted, removed }: EnvChanges, overwrite: boolean): Container {
  const { env: before = [], ...others } = container;
  const found = wanted.find(({ name }) => before.some((variable) => variable.name === name));
  if (found && !overwrite) {
    throw new GantryError(
      'failedPrecondition',
      `container ${container.name} has ${found.name} already; --overwrite changes it`,
    );
  }
  const byName = new Map(wanted.map((variable) => [variable.name, variable]));
  const kept = before.filter(({ name }) => !removed.has(name)).map((variable) => byName.get(variable.name) ?? variable);
  const added = wanted.filter(({ name }) => !before.some((variable) => variable.name === name));
  const env = [...kept, ...added];
  return { ...others, ...(env.length > 0 && { env }) };
}

/** As kubectl, init containers too. */
function chosenContainers({ containers, initContainers = [] }: PodSpec, pattern: string): Container[] {
  const escaped = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const matches = new RegExp(`^${escaped.join('.*')}$`);
  const all = [...containers, ...initContainers];
  const chosen = all.filter(({ name }) => matches.test(name));
  if (chosen.length > 0) return chosen;
  const known = all.map(({ name }) => name).join(', ');
  throw new GantryError('notFound', `unable to find a container named "${pattern}"; there is ${known}`);
}

function listing(of: string, { name, env = [] }: Container): string {
  return [`# ${of}, container ${name}`, ...env.map(variableLine)].map((line) => `${line}\n`).join('');
}

function variableLine({ name, value = '', valueFrom }: EnvVar): string {
  const { configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef } = valueFrom ?? {};
  if (configMapKeyRef) return `# ${name} from configmap ${configMapKeyRef.name}, key ${configMapKeyRef.key}`;
  if (secretKeyRef) return `# ${name} from secret ${secretKeyRef.name}, key ${secretKeyRef.key}`;
  if (fieldRef) return `# ${name} from field path ${fieldRef.fieldPath}`;
  if (resourceFieldRef) return `# ${name} from resource ${resourceFieldRef.resource}`;
  return `${name}=${value}`;
}
