/**
 * What Kubernetes has and Gantry does not: every such kind, field and value is refused by name with a reason and the
 * next step. A field whose value is exactly what Gantry does anyway (as `kubectl get -o yaml` writes it) is accepted.
 */
import { networkFields, networkValues } from './unsupported/network.ts';
import { podFields, podValues } from './unsupported/pods.ts';
import { later, type Unsupported, type UnsupportedTable } from './unsupported/reasons.ts';
import { storageFields, storageValues } from './unsupported/storage.ts';
import { workloadFields, workloadValues } from './unsupported/workloads.ts';

const fields: UnsupportedTable = { ...podFields, ...workloadFields, ...networkFields, ...storageFields };
const values: UnsupportedTable = { ...podValues, ...workloadValues, ...networkValues, ...storageValues };

const deployment = 'use a Deployment';
const noRBAC = 'the role in a client certificate (admin, editor or viewer) says who may do what; remove it';

const kinds: UnsupportedTable = {
  ReplicationController: { reason: 'ReplicaSets replaced it', cure: deployment },
  Ingress: later('Ingress', 'use a Service of type NodePort'),
  IngressClass: later('Ingress', 'use a Service of type NodePort'),
  NetworkPolicy: later('network policies', 'remove it, and know that all pods can reach one another'),
  ServiceAccount: { reason: 'Gantry has no service accounts', cure: 'remove it' },
  Role: { reason: 'Gantry has no RBAC objects', cure: noRBAC },
  RoleBinding: { reason: 'Gantry has no RBAC objects', cure: noRBAC },
  ClusterRole: { reason: 'Gantry has no RBAC objects', cure: noRBAC },
  ClusterRoleBinding: { reason: 'Gantry has no RBAC objects', cure: noRBAC },
  Endpoints: { reason: 'EndpointSlices replaced it', cure: 'use an EndpointSlice of discovery.k8s.io/v1' },
  CustomResourceDefinition: { reason: 'the kinds of Gantry are fixed', cure: 'remove it' },
};

export const unsupportedField = (type: string, field: string): Unsupported | undefined =>
  own(fields, `${type}.${field}`);

export const unsupportedValue = (type: string, field: string, value: string): Unsupported | undefined =>
  own(values, `${type}.${field}=${value}`);

export const unsupportedKind = (kind: string): Unsupported | undefined => own(kinds, kind);

function own(table: UnsupportedTable, key: string): Unsupported | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
