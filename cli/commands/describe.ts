/** `ctl describe`: one object in full, with what belongs to it and what happened to it. */
import type { Command } from 'commander';
import { isGantryError } from '../../lib/errors.ts';
import { conditionStatus } from '../../lib/model/conditions.ts';
import type { Event, KubeObject, Pod } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { deletionSentence } from '../deletion.ts';
import { findObject, listObjects } from '../objects.ts';
import { alignTabs } from '../output/align.ts';
import { serviceNameOf } from '../output/columns.ts';
import { autoscalerLines } from '../output/describe/autoscaler.ts';
import { cronJobLines, jobLines } from '../output/describe/batch.ts';
import { configMapLines, namespaceLines, secretLines } from '../output/describe/data.ts';
import { eventLines, eventsOf } from '../output/describe/events.ts';
import { headLines } from '../output/describe/lines.ts';
import { endpointSliceLines, serviceLines } from '../output/describe/network.ts';
import { nodeLines } from '../output/describe/node.ts';
import { podLines, verdictLines } from '../output/describe/pod.ts';
import { limitRangeLines, resourceQuotaLines } from '../output/describe/quota.ts';
import { claimLines, persistentVolumeLines, storageClassLines } from '../output/describe/storage.ts';
import {
  daemonSetLines,
  deploymentLines,
  replicaSetDescription,
  statefulSetLines,
} from '../output/describe/workload.ts';
import { parseTargets } from '../resources.ts';
import { forEach, objectOf, type Reference, referenceOf, type SelectOptions, selectReferences } from '../selection.ts';

export interface DescribeOptions extends SelectOptions {
  readonly showEvents?: boolean;
}

export function registerDescribe(program: Command, open: OpenContext): void {
  program
    .command('describe [resource] [names...]')
    .usage('TYPE [NAME or its beginning] | TYPE/NAME | -f FILE')
    .option('-f, --filename <file...>', 'what these manifests name')
    .option('-R, --recursive', 'folders below as well')
    .option('-l, --selector <labels>', 'those with these labels')
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('--show-events', 'with events (default)')
    .option('--no-show-events', 'without events')
    .action(async (resource: string | undefined, names: string[], _options, command: Command) => {
      const options = optionsOf<DescribeOptions>(command);
      await describe(await open(options), resource === undefined ? [] : [resource, ...names], options);
    });
}

export async function describe(context: Context, words: readonly string[], options: DescribeOptions): Promise<void> {
  const bare = words.length > 0 && parseTargets(words).every(({ name }) => name === undefined);
  const all = bare && options.selector === undefined;
  const references = await selectReferences(context, words, { ...options, ...(all && { all }) });
  if (references.length === 0) return context.warn(`No resources found in ${context.namespace} namespace.`);
  let separator = '';
  await forEach(context, references, async (reference) => {
    for (const object of await matching(context, reference)) {
      const [told, events] = [await describeObject(context, object), await eventsAbout(context, object, options)];
      const lines = [...told, ...(await deletionLines(context, object)), ...events];
      context.write(`${separator}${alignTabs(lines)}`);
      separator = '\n\n';
    }
  });
}

/** The object of that name; otherwise those whose names begin so, and the slices of a service of that name. */
async function matching(context: Context, reference: Reference): Promise<KubeObject[]> {
  try {
    return [await objectOf(context, reference)];
  } catch (error) {
    if (!isGantryError(error, 'notFound')) throw error;
    const { kind, namespace, name } = reference;
    const candidates: KubeObject[] = await listObjects(context, kind, { namespace });
    const found = candidates.filter((object) =>
      object.kind === 'EndpointSlice' ? serviceNameOf(object) === name : object.metadata.name.startsWith(name),
    );
    if (found.length === 0) throw error;
    return found.flatMap((object) => referenceOf(object).object ?? []);
  }
}

async function describeObject(context: Context, object: KubeObject): Promise<string[]> {
  const nowMs = context.clock.nowMs();
  const namespace = object.metadata.namespace ?? '';
  switch (object.kind) {
    case 'Pod':
      return [...podLines(object, nowMs), ...(await pendingLines(context, object))];
    case 'Node':
      return nodeLines(object, await podsOn(context, object.metadata.name), nowMs);
    case 'Deployment':
      return deploymentLines(object, await listObjects(context, 'ReplicaSet', { namespace }));
    case 'ReplicaSet':
      return replicaSetDescription(object, await listObjects(context, 'Pod', { namespace }));
    case 'StatefulSet':
      return statefulSetLines(object, await listObjects(context, 'Pod', { namespace }));
    case 'DaemonSet':
      return daemonSetLines(object, await listObjects(context, 'Pod', { namespace }));
    case 'Job':
      return jobLines(object, nowMs);
    case 'CronJob':
      return cronJobLines(object);
    case 'PersistentVolume':
      return persistentVolumeLines(object);
    case 'PersistentVolumeClaim':
      return claimLines(object, await listObjects(context, 'Pod', { namespace }));
    case 'StorageClass':
      return storageClassLines(object);
    case 'HorizontalPodAutoscaler':
      return autoscalerLines(object);
    case 'Service':
      return serviceLines(object, await listObjects(context, 'EndpointSlice', { namespace }));
    case 'EndpointSlice':
      return endpointSliceLines(object);
    case 'ConfigMap':
      return configMapLines(object);
    case 'Secret':
      return secretLines(object);
    case 'Namespace':
      return [...namespaceLines(object), ...(await policyLines(context, object.metadata.name))];
    case 'ResourceQuota':
      return resourceQuotaLines(object);
    case 'LimitRange':
      return limitRangeLines(object);
    default: {
      const { structuredText } = await import('../output/structured.ts');
      const [head, text] = [headLines(object), structuredText([object], 'yaml', true)];
      return [...head, ...text.trimEnd().split('\n')];
    }
  }
}

/** The quotas and limits of a namespace, each below the last. */
async function policyLines(context: Context, namespace: string): Promise<string[]> {
  const [quotas, ranges] = await Promise.all([
    listObjects(context, 'ResourceQuota', { namespace }),
    listObjects(context, 'LimitRange', { namespace }),
  ]);
  const parts = [...quotas.map(resourceQuotaLines), ...ranges.map(limitRangeLines)];
  return parts.flatMap((lines) => ['', ...lines]);
}

/** What an object on its way out still waits for. */
async function deletionLines(context: Context, object: KubeObject): Promise<string[]> {
  const why = await deletionSentence(context, object);
  return why === undefined ? [] : [`Deletion:\t${why}`];
}

/** What each node says to a pod that is on none; of one whose node does not run it, what comes next. */
async function pendingLines(context: Context, { metadata, spec, status }: Pod): Promise<string[]> {
  const { name, namespace = context.namespace, deletionTimestamp } = metadata;
  const { phase = 'Pending' } = status ?? {};
  if (deletionTimestamp || phase === 'Succeeded' || phase === 'Failed') return [];
  try {
    if (!spec.nodeName) {
      return phase === 'Pending' ? verdictLines(await context.cluster.ExplainPending({ namespace, name })) : [];
    }
    if (await isNodeReady(context, spec.nodeName)) return [];
    const { summary = '' } = await context.cluster.ExplainPending({ namespace, name });
    return [`Node Problem:\t${summary}`];
  } catch (error) {
    // A control plane of an older version, or the pod has gone meanwhile.
    if (isGantryError(error, 'unimplemented') || isGantryError(error, 'notFound')) return [];
    throw error;
  }
}

async function isNodeReady(context: Context, name: string): Promise<boolean> {
  const node = await findObject(context, 'Node', name);
  return conditionStatus(node?.status?.conditions, 'Ready') === 'True';
}

function podsOn(context: Context, node: string): Promise<Pod[]> {
  return listObjects(context, 'Pod', { allNamespaces: true, fieldSelector: `spec.nodeName=${node}` });
}

async function eventsAbout(context: Context, object: KubeObject, { showEvents }: DescribeOptions): Promise<string[]> {
  if (showEvents === false || object.kind === 'Event') return [];
  const { name, namespace } = object.metadata;
  const events: Event[] = await listObjects(context, 'Event', {
    ...(namespace === undefined ? { allNamespaces: true } : { namespace }),
    fieldSelector: `involvedObject.name=${name}`,
  });
  return eventLines(eventsOf(object, events), context.clock.nowMs());
}
