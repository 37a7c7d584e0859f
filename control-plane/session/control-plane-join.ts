/**
 * How a machine becomes another replica of the control plane: it shows a token of that role, and is given the cluster's
 * keys. Whoever holds such a token is trusted with everything: the connection is encrypted to the CA that the token
 * pins, the token is checked before anything is told, and every handover is logged.
 */
import { GantryError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { ClusterPki } from '../../lib/pki/cluster-pki.ts';
import type { Handlers } from '../../lib/rpc/serve-call.ts';
import type { JoinTokens } from './tokens.ts';

export interface ControlPlaneJoinDependencies {
  readonly tokens: JoinTokens;
  readonly pki: Pick<ClusterPki, 'authority' | 'etcd' | 'secretsKey'>;
  /** Opens our etcd to other members; resolves with their addresses, none when etcd is not ours. */
  readonly shareEtcd: () => Promise<readonly string[]>;
  /** What all replicas must agree on. */
  readonly settings: ClusterWideSettings;
  readonly log: Log;
}

export interface ClusterWideSettings {
  readonly clusterCIDR: string;
  readonly serviceCIDR: string;
  readonly dnsIP: string;
  readonly zone: string;
}

const namePattern = /^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/;

export function controlPlaneBootstrap({
  tokens,
  pki,
  shareEtcd,
  settings,
  log,
}: ControlPlaneJoinDependencies): Handlers<'ControlPlaneBootstrap'> {
  return {
    async Join({ token = '', name = '', address = '' }, { peer }) {
      const { id } = await tokens.verify(token, 'control-plane');
      if (!namePattern.test(name)) {
        throw new GantryError(
          'invalidArgument',
          `"${name}" cannot be a control plane's name; give it a --name of at most 63 of a-z, 0-9, "-" and "."`,
        );
      }
      const etcdEndpoints = await shareEtcd();
      log.warn(
        { name, address, peer: peer.address, tokenId: id },
        'another control plane is given the keys of the cluster',
      );
      return {
        caCertificate: pki.authority.certPem,
        caKey: pki.authority.keyPem,
        etcdCaCertificate: pki.etcd.authority.certPem,
        etcdCaKey: pki.etcd.authority.keyPem,
        secretsKey: pki.secretsKey,
        etcdEndpoints: [...etcdEndpoints],
        ...settings,
      };
    },
  };
}
