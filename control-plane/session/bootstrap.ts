/**
 * How a machine becomes a node: Join on the join port with a token, Renew on the API port with the certificate it has.
 * The server decides name, role and lifetime; of the signing request it takes the public key.
 */
import type { Log } from '../../lib/log.ts';
import { objectKey } from '../../lib/model/keys.ts';
import { type Authority, issueForRequest, lifetimeMs, type Subject } from '../../lib/pki/certificates.ts';
import type { Peer } from '../../lib/rpc/peer.ts';
import type { Handlers } from '../../lib/rpc/serve-call.ts';
import { nodeServerName } from '../../lib/rpc/server-name.ts';
import type { JoinResponse } from '../../proto/gen/types.ts';
import { nodeNameOf, peerHost } from './identity.ts';
import { nodeIsGone } from './node-deleted.ts';
import { NodeRanges } from './node-ranges.ts';
import { type RegistrationDependencies, registerNode } from './registration.ts';
import type { JoinTokens } from './tokens.ts';

export interface BootstrapDependencies extends RegistrationDependencies {
  readonly authority: Authority;
  readonly tokens: JoinTokens;
  readonly log: Log;
}

export function bootstrapHandlers(dependencies: BootstrapDependencies): Handlers<'Bootstrap'> {
  const { tokens, log } = dependencies;
  const ranges = new NodeRanges(dependencies);
  return {
    async Join({ token = '', nodeName = '', certificateSigningRequest = '', machineID = '' }, { peer }) {
      const { id } = await tokens.verify(token, 'node');
      // First what may be refused without a trace.
      const response = await certify(nodeName, peer, certificateSigningRequest, dependencies);
      const node = await registerNode({ name: nodeName, machineID }, dependencies, ranges);
      log.info({ node: nodeName, peer: peer.address, tokenId: id, podCIDR: node.spec.podCIDR }, 'a node has joined');
      return response;
    },
  };
}

export function renewHandler(dependencies: BootstrapDependencies): Handlers<'NodeSession'>['Renew'] {
  return async ({ certificateSigningRequest = '' }, { peer }) => {
    const nodeName = nodeNameOf(peer);
    const { kv } = await dependencies.store.get(objectKey('Node', undefined, nodeName));
    if (!kv) throw nodeIsGone(nodeName);
    return certify(nodeName, peer, certificateSigningRequest, dependencies);
  };
}

async function certify(
  nodeName: string,
  peer: Peer,
  requestPem: string,
  dependencies: BootstrapDependencies,
): Promise<JoinResponse> {
  const { authority } = dependencies;
  const subject: Subject = {
    commonName: `node:${nodeName}`,
    organization: 'node',
    names: [nodeServerName(nodeName), peerHost(peer)],
    lifetimeMs: lifetimeMs.node,
    usages: ['server', 'client'],
  };
  const certificate = await issueForRequest(authority, subject, requestPem, dependencies);
  return { certificate, caCertificate: authority.certPem };
}
