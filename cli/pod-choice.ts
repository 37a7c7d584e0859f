/** Which pod and container are meant by POD, pod/NAME, deploy/NAME, svc/NAME and the like. */
import { GantryError } from '../lib/errors.ts';
import { isPodActive, isPodReady } from '../lib/model/pods.ts';
import { kindsWithPods, podSelectorOf } from '../lib/model/workloads.ts';
import type { KubeObject, Pod } from '../proto/gen/types.ts';
import type { Context } from './context.ts';
import { getObject, listObjects } from './objects.ts';
import { parseTargets } from './resources.ts';

export interface PodChoice {
  readonly pod: Pod;
  /** How many there were to choose from. */
  readonly count: number;
}

/** The most useful one: ready before running before waiting, then the youngest name order. */
export async function choosePod(context: Context, word: string): Promise<PodChoice> {
  const [target] = parseTargets(word.includes('/') ? [word] : ['pod', word]);
  const { info, name } = target!;
  if (info.kind === 'Pod') return { pod: await getObject(context, 'Pod', name!), count: 1 };
  if (!kindsWithPods.includes(info.kind)) {
    throw new GantryError(
      'invalidArgument',
      `a ${info.kind} has no pods; name a pod, a workload such as deploy/NAME, or svc/NAME`,
    );
  }
  const owner: KubeObject = await getObject(context, info.kind, name!);
  const pods = await listObjects(context, 'Pod', { selector: selectorText(owner) });
  const best = pods.sort((a, b) => rank(a) - rank(b)).at(0);
  if (best) return { pod: best, count: pods.length };
  throw new GantryError('notFound', `${info.kind} ${name} has no pods yet; see \`ctl describe ${word}\``);
}

function rank(pod: Pod): number {
  if (!isPodActive(pod)) return 3;
  if (isPodReady(pod)) return 0;
  return pod.status?.phase === 'Running' ? 1 : 2;
}

export function selectorText(owner: KubeObject): string {
  const selector = podSelectorOf(owner) ?? {};
  const labels = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    if (operator === 'Exists') return key;
    if (operator === 'DoesNotExist') return `!${key}`;
    return `${key} ${operator === 'In' ? 'in' : 'notin'} (${values.join(',')})`;
  });
  const text = [...labels, ...expressions].join(',');
  if (text !== '') return text;
  throw new GantryError('invalidArgument', `${owner.kind} ${owner.metadata.name} selects no pods; name a pod instead`);
}

const defaultContainerAnnotation = 'kubectl.kubernetes.io/default-container';

/** The one asked for, the pod's own default, or the first, and then says so when there are others. */
export function chooseContainer(
  { metadata, spec }: Pod,
  asked: string | undefined,
  warn: (line: string) => void,
): string {
  const names = spec.containers.map(({ name }) => name);
  const all = [...names, ...(spec.initContainers ?? []).map(({ name }) => name)];
  if (asked !== undefined) {
    if (all.includes(asked)) return asked;
    const message = `container ${asked} is not valid for pod ${metadata.name}; it has ${all.join(', ')}`;
    throw new GantryError('invalidArgument', message);
  }
  const preferred = metadata.annotations?.[defaultContainerAnnotation];
  if (preferred !== undefined && names.includes(preferred)) return preferred;
  if (all.length > 1) {
    const others = [...names, ...(spec.initContainers ?? []).map(({ name }) => `${name} (init)`)].join(', ');
    warn(`Defaulted container "${names[0]}" out of: ${others}`);
  }
  return names[0]!;
}
