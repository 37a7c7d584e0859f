/** How resources are named on the command line: `pods`, `po/web`, `deploy,svc`, `all`. */
import { GantryError } from '../lib/errors.ts';
import { findKind, type KindInfo, kinds } from '../lib/model/schema.ts';
import { suggest } from '../lib/model/suggest.ts';

/** kubectl's "all": what runs and serves. */
const allKinds = [
  'Pod',
  'Service',
  'DaemonSet',
  'Deployment',
  'ReplicaSet',
  'StatefulSet',
  'HorizontalPodAutoscaler',
  'CronJob',
  'Job',
] as const;

export function resourceKind(name: string): KindInfo {
  // pods.v1., deployments.apps: the part before the first dot is the name.
  const info = findKind(name) ?? findKind(name.split('.')[0]!);
  if (info) return info;
  if (/^control-?planes?$/i.test(name)) {
    throw new GantryError('notFound', 'control planes are no objects; use `ctl control-plane list`');
  }
  const meant = suggest(name.split('.')[0]!, kinds.flatMap(namesOf));
  const known = kinds.map((kind) => kind.plural).join(', ');
  const hint = meant === undefined ? `it has ${known}` : `did you mean "${meant}"?`;
  throw new GantryError('notFound', `the server doesn't have a resource type "${name}"; ${hint}`);
}

/** As people write them. Of short names nearly any word would be a mistake. */
function namesOf({ kind, plural }: KindInfo): string[] {
  return [kind.toLowerCase(), plural];
}

export interface Target {
  readonly info: KindInfo;
  /** Undefined: all of the kind. */
  readonly name?: string;
}

/** `TYPE[,TYPE] [NAME...]`, `TYPE/NAME...` or `all`, which may stand among types. */
export function parseTargets(words: readonly string[]): Target[] {
  const [first, ...rest] = words;
  if (first === undefined) {
    throw new GantryError(
      'invalidArgument',
      'name a resource, such as pods, deploy/web or all; `ctl api-resources` lists them',
    );
  }
  if (words.some((word) => word.includes('/'))) return words.map(parsePair);
  const types = first.split(',').filter(Boolean);
  if (rest.length === 0) {
    const infos = types.flatMap((type) => (type === 'all' ? allKinds.map(resourceKind) : [resourceKind(type)]));
    return [...new Set(infos)].map((info) => ({ info }));
  }
  const infos = types.map(resourceKind);
  return infos.flatMap((info) => rest.map((name) => ({ info, name })));
}

function parsePair(word: string): Target {
  const [type, name, ...more] = word.split('/');
  if (!type || !name || more.length > 0) {
    throw new GantryError(
      'invalidArgument',
      `"${word}": write TYPE/NAME, such as pod/web; do not mix it with TYPE NAME`,
    );
  }
  return { info: resourceKind(type), name };
}

/** `deployment.apps`: how kubectl names the kind of an object that it changed. */
export function groupedKind(kind: string): string {
  const { apiVersion } = resourceKind(kind);
  const group = apiVersion.includes('/') ? `.${apiVersion.split('/')[0]}` : '';
  return `${kind.toLowerCase()}${group}`;
}

/** `deployment.apps/web` */
export function qualifiedName(kind: string, name: string): string {
  return `${groupedKind(kind)}/${name}`;
}
