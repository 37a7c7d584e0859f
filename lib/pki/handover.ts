/**
 * What one replica of the control plane hands to the next: the keys of both authorities and the key of Secrets at rest.
 * Everything else under `<data-dir>/pki` a replica issues for itself.
 */
import { join } from 'node:path';
import { GantryError } from '../errors.ts';
import { belongsTogether, caHashOf, type Identity } from './certificate-facts.ts';
import { pkiFolder, secretsKeyBytes, writeSecretsKey } from './cluster-pki.ts';
import { readFileIfAny } from './files.ts';
import { writeIdentity } from './identity-files.ts';

export interface Handover {
  readonly authority: Identity;
  readonly etcdAuthority: Identity;
  readonly secretsKey: Uint8Array;
}

/** Of the cluster that this data folder belongs to; undefined when it belongs to none yet. */
export async function storedCaHash(dataDir: string): Promise<string | undefined> {
  const certificate = await readFileIfAny(join(pkiFolder(dataDir), 'ca.crt'));
  return certificate && caHashOf(certificate.toString());
}

/** The cluster's CA certificate is written last: what was cut off on the way is as if it had not begun. */
export async function writeHandover(
  dataDir: string,
  { authority, etcdAuthority, secretsKey }: Handover,
): Promise<void> {
  const whole = [authority, etcdAuthority].every((identity) => belongsTogether(identity.certPem, identity));
  if (!whole || secretsKey.length !== secretsKeyBytes) {
    throw new GantryError('internal', 'the control plane answered with keys that do not belong to its certificates');
  }
  const folder = pkiFolder(dataDir);
  await writeSecretsKey(folder, secretsKey);
  await writeIdentity(folder, 'etcd-ca', etcdAuthority);
  await writeIdentity(folder, 'ca', authority);
}
