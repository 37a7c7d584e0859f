/** A name for whatever pods have its label; what endpoints it has follows from them. */
import { matchesSelector } from '../../../lib/model/labels.ts';
import { isPodReady } from '../../../lib/model/pods.ts';
import type { KubeObject, Service } from '../../../proto/gen/types.ts';
import { someApp, type Workload } from './workload.ts';

export const service: Workload = {
  kind: 'Service',
  weight: 2,
  make: (name, random) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { selector: someApp(random), ports: [{ port: 80, targetPort: '8080' }] },
  }),
  change: (object, random) => {
    const { spec } = object as Service;
    return { ...object, spec: { ...spec, selector: someApp(random) } } as Service;
  },
  load: () => 0,
  problem(object, view) {
    const { spec, metadata } = object as Service;
    const isHere = (other: KubeObject): boolean => other.metadata.namespace === metadata.namespace;
    const wanted = view
      .list('Pod')
      .filter(
        (pod) =>
          isHere(pod) && matchesSelector({ matchLabels: spec.selector ?? {} }, pod.metadata.labels) && isPodReady(pod),
      )
      .map((pod) => pod.status?.podIP);
    const found = view
      .list('EndpointSlice')
      .filter((slice) => isHere(slice) && slice.metadata.labels?.['kubernetes.io/service-name'] === metadata.name)
      .flatMap((slice) => slice.endpoints ?? [])
      .filter((endpoint) => endpoint.conditions?.ready)
      .flatMap(({ addresses }) => addresses ?? []);
    const same = wanted.length === found.length && wanted.every((ip) => ip !== undefined && found.includes(ip));
    return same ? undefined : `its endpoints are ${found.join(', ')} instead of ${wanted.join(', ')}`;
  },
};
