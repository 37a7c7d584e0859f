/** What the agent's server must know of the pods on this node: by which name a container is meant, and where its logs are. */
import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GantryError } from '../../lib/errors.ts';
import type { Pod } from '../../proto/gen/types.ts';
import { type AgentFolders, logFile } from '../pods/paths.ts';
import type { ContainerStatus, Runtime } from '../runtime/runtime.ts';

/** A container that a request has named, and that exists in the pod's spec. */
export interface ContainerTarget {
  readonly pod: Pod;
  readonly container: string;
}

export interface PodDirectory {
  /** Everything of which something is on this node, deleted pods that are not gone yet included. */
  pods(): readonly Pod[];
  /** Log files of a container's runs, the newest run last; none when it has not started yet. */
  logFiles(target: ContainerTarget): Promise<readonly string[]>;
  /** The newest run that the runtime still has. */
  newestRun(target: ContainerTarget): Promise<ContainerStatus | undefined>;
}

export interface PodDirectorySources {
  readonly pods: { uids(): readonly string[]; pod(uid: string): Pod | undefined };
  readonly runtime: Pick<Runtime, 'list'>;
  readonly folders: AgentFolders;
}

export function createPodDirectory({ pods, runtime, folders }: PodDirectorySources): PodDirectory {
  return {
    pods: () => pods.uids().flatMap((uid) => pods.pod(uid) ?? []),

    async logFiles({ pod, container }) {
      const folder = dirname(logFile(folders, pod, container, 0));
      const names = await readdir(folder).catch(() => []);
      const runs = names.flatMap((name) => /^(\d+)\.log$/.exec(name)?.[1] ?? []).map(Number);
      return runs.sort((a, b) => a - b).map((attempt) => logFile(folders, pod, container, attempt));
    },

    async newestRun({ pod, container }) {
      const { containers } = await runtime.list();
      return containers
        .filter(({ podUid, name }) => podUid === pod.metadata.uid && name === container)
        .sort((a, b) => a.attempt - b.attempt)
        .at(-1);
    },
  };
}

/** Throws notFound or invalidArgument with what there is to choose from. Pure. */
export function findTarget(
  pods: readonly Pod[],
  { namespace = 'default', pod: name = '', container = '' }: { namespace?: string; pod?: string; container?: string },
): ContainerTarget {
  const pod = newestNamed(pods, namespace, name);
  if (!pod) {
    throw new GantryError(
      'notFound',
      `pod ${namespace}/${name} is not on this node (yet, or any more); see \`ctl get pod ${name} -n ${namespace} -o wide\``,
    );
  }
  const own = pod.spec.containers.map((entry) => entry.name);
  const all = [...own, ...(pod.spec.initContainers ?? []).map((entry) => entry.name)];
  if (container === '' && own.length === 1) return { pod, container: own[0]! };
  if (all.includes(container)) return { pod, container };
  const choice = all.join(', ');
  throw new GantryError(
    'invalidArgument',
    container === ''
      ? `pod ${name} has several containers: ${choice}; choose one with -c`
      : `pod ${name} has no container "${container}"; it has: ${choice}`,
  );
}

/** A pod that is on its way out and its successor may bear the same name for a while. */
function newestNamed(pods: readonly Pod[], namespace: string, name: string): Pod | undefined {
  const age = ({ metadata }: Pod): string => `${metadata.deletionTimestamp ? 0 : 1}${metadata.creationTimestamp ?? ''}`;
  return pods
    .filter(({ metadata }) => metadata.name === name && (metadata.namespace ?? 'default') === namespace)
    .sort((a, b) => (age(a) < age(b) ? -1 : 1))
    .at(-1);
}
