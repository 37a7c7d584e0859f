/**
 * EndpointSlices of a service with a selector: its pods that have an address, with their readiness.
 *
 * - Up to 1,000 endpoints a slice, and slices apart for pods whose named ports differ.
 * - A slice is rewritten only when what it says changes. A service without pods keeps one empty slice, so that "nobody is
 *   there" can be told from "nobody has looked".
 * - Writes: slices labelled as managed by it, and no others.
 */
import { createHash } from 'node:crypto';
import { matchesLabels } from '../../../lib/model/labels.ts';
import { controllerReference, isDeleting, isSame } from '../../../lib/model/object.ts';
import type { EndpointSlice, Service } from '../../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { isNamespaceOpen } from '../owned.ts';
import { areSameEndpoints, type EndpointGroup, groupEndpoints } from './endpoints.ts';

export const serviceNameLabel = 'kubernetes.io/service-name';
const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
const managedBy = 'endpointslice-controller.gantry';
const headlessLabel = 'service.kubernetes.io/headless';
const mostEndpoints = 1000;

export function reconcileEndpointSlices(snapshot: Snapshot, service: Service): ReconcileResult {
  const { namespace = 'default' } = service.metadata;
  if (isDeleting(service) || !isNamespaceOpen(snapshot, namespace)) return { changes: [] };
  const existing = slicesOf(snapshot, service);
  const wanted = selects(service) ? wantedSlices(service, groupsOf(snapshot, service)) : [];

  const unclaimed = new Set(existing);
  const claim = (slice: EndpointSlice): EndpointSlice | undefined => {
    const free = [...unclaimed];
    const found = free.find((other) => isSame(other.ports, slice.ports)) ?? free[0];
    if (found) unclaimed.delete(found);
    return found;
  };
  const changes: Change[] = [];
  const taken = new Set(existing.map(({ metadata }) => metadata.name));
  for (const slice of wanted) {
    const current = claim(slice);
    if (!current) changes.push({ type: 'create', object: named(slice, service, taken) });
    else if (!saysTheSame(current, slice)) changes.push({ type: 'update', object: rewritten(current, slice) });
  }
  for (const object of unclaimed) changes.push({ type: 'remove', object });
  return { changes };
}

export function selects(service: Service): boolean {
  return Object.keys(service.spec.selector ?? {}).length > 0 && service.spec.type !== 'ExternalName';
}

function slicesOf(snapshot: Snapshot, service: Service): EndpointSlice[] {
  return snapshot
    .list('EndpointSlice', service.metadata.namespace ?? 'default')
    .filter(({ metadata: { labels = {} } }) => labels[serviceNameLabel] === service.metadata.name)
    .filter(({ metadata: { labels = {} } }) => labels[managedByLabel] === managedBy)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

function groupsOf(snapshot: Snapshot, service: Service): EndpointGroup[] {
  const { selector = {} } = service.spec;
  const pods = snapshot
    .list('Pod', service.metadata.namespace ?? 'default')
    .filter((pod) => matchesLabels(selector, pod.metadata.labels));
  const groups = groupEndpoints(service, pods);
  return groups.length > 0 ? groups : [{ ports: [], endpoints: [] }];
}

function wantedSlices(service: Service, groups: readonly EndpointGroup[]): EndpointSlice[] {
  return groups.flatMap(({ ports, endpoints }) => {
    const count = Math.max(1, Math.ceil(endpoints.length / mostEndpoints));
    return Array.from({ length: count }, (_, index) => ({
      apiVersion: 'discovery.k8s.io/v1' as const,
      kind: 'EndpointSlice' as const,
      metadata: {
        name: '',
        namespace: service.metadata.namespace ?? 'default',
        labels: {
          ...service.metadata.labels,
          [serviceNameLabel]: service.metadata.name,
          [managedByLabel]: managedBy,
          ...(service.spec.clusterIP === 'None' && { [headlessLabel]: '' }),
        },
        ownerReferences: [controllerReference(service)],
      },
      addressType: 'IPv4' as const,
      endpoints: endpoints.slice(index * mostEndpoints, (index + 1) * mostEndpoints),
      ports: [...ports],
    }));
  });
}

/** A name made from the service's identity: whoever makes the slice makes the same one. */
function named(slice: EndpointSlice, service: Service, taken: Set<string>): EndpointSlice {
  for (let index = 0; ; index += 1) {
    const digest = createHash('sha256').update(`${service.metadata.uid}\0${index}`).digest('hex');
    const name = `${service.metadata.name}-${digest.slice(0, 5)}`;
    if (taken.has(name)) continue;
    taken.add(name);
    return { ...slice, metadata: { ...slice.metadata, name } };
  }
}

function saysTheSame(current: EndpointSlice, wanted: EndpointSlice): boolean {
  return (
    areSameEndpoints(current.endpoints ?? [], wanted.endpoints ?? []) &&
    isSame(current.ports, wanted.ports) &&
    isSame(current.metadata.labels, wanted.metadata.labels) &&
    isSame(current.metadata.ownerReferences, wanted.metadata.ownerReferences)
  );
}

function rewritten(current: EndpointSlice, wanted: EndpointSlice): EndpointSlice {
  const { labels, ownerReferences } = wanted.metadata;
  const metadata = {
    ...current.metadata,
    ...(labels && { labels }),
    ...(ownerReferences && { ownerReferences }),
    generation: (current.metadata.generation ?? 1) + 1,
  };
  return { ...wanted, metadata };
}
