/**
 * Who may call what. A client certificate's organization is its role: viewer reads all but Secrets, editor writes what
 * lives in namespaces, admin everything. Nodes and control planes have no business with the Cluster service.
 */
import { GantryError } from '../../lib/errors.ts';
import { type Kind, kindInfo } from '../../lib/model/schema.ts';
import type { Peer } from '../../lib/rpc/peer.ts';

export const roles = ['viewer', 'editor', 'admin'] as const;
export type Role = (typeof roles)[number];

/** The least role for a method; what depends on the kind is checked again by `authorizeKind`. */
const leastRole: Readonly<Record<string, Role>> = {
  Get: 'viewer',
  List: 'viewer',
  Watch: 'viewer',
  Logs: 'viewer',
  GetPodStats: 'viewer',
  GetNodeStats: 'viewer',
  Resolve: 'viewer',
  ExplainPending: 'viewer',
  Simulate: 'viewer',
  GetClusterInfo: 'viewer',
  ListControlPlanes: 'viewer',
  Apply: 'editor',
  Create: 'editor',
  Update: 'editor',
  Patch: 'editor',
  Delete: 'editor',
  Scale: 'editor',
  Evict: 'editor',
  Exec: 'editor',
};

/** For lib/rpc's server: throws unless the peer may call the method. Services other than Cluster are not judged here. */
export function authorize(call: { readonly service: string; readonly method: string; readonly peer: Peer }): void {
  if (call.service !== 'Cluster') return;
  requireRole(call.peer, leastRole[call.method] ?? 'admin', call.method);
}

export function authorizeKind(peer: Peer, action: 'read' | 'write', kind: Kind): void {
  requireRole(peer, leastRoleFor(action, kind), `${action} ${kindInfo(kind).plural}`);
}

function leastRoleFor(action: 'read' | 'write', kind: Kind): Role {
  if (action === 'read') return kind === 'Secret' ? 'editor' : 'viewer';
  return kindInfo(kind).clusterScoped ? 'admin' : 'editor';
}

function requireRole(peer: Peer, least: Role, what: string): void {
  const role = roles.indexOf(peer.organization as Role);
  if (role >= roles.indexOf(least)) return;
  if (peer.commonName === '' && peer.organization === '') {
    throw new GantryError('unauthenticated', 'no client certificate was shown; use the admin.conf of this cluster');
  }
  const who = `${peer.commonName || 'somebody'} (${peer.organization || 'no role'})`;
  throw new GantryError(
    'permissionDenied',
    `${who} may not ${what}; that needs the role ${least}: use a client certificate with it`,
  );
}
