/** A certificate and its key as two files, `NAME.crt` and `NAME.key`. A pair cut short by a crash counts as absent. */
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { belongsTogether, certifies, type Identity, renewAtMs } from './certificate-facts.ts';
import { readFileIfAny, writeFileAtomic } from './files.ts';

export async function readIdentity(folder: string, name: string): Promise<Identity | undefined> {
  const [certificate, key] = await Promise.all([
    readFileIfAny(join(folder, `${name}.crt`)),
    readFileIfAny(join(folder, `${name}.key`)),
  ]);
  return certificate && key ? { certPem: certificate.toString(), keyPem: key.toString() } : undefined;
}

/** The key first: a certificate is never on disk without the key it was issued for, except beside a newer key. */
export async function writeIdentity(folder: string, name: string, { certPem, keyPem }: Identity): Promise<void> {
  await writeFileAtomic(join(folder, `${name}.key`), keyPem);
  await writeFileAtomic(join(folder, `${name}.crt`), certPem, 0o644);
}

/** Whether a stored identity may go on being used: ours, whole, for all these names, and in the first two thirds of its life. */
export function isFresh(caPem: string, identity: Identity, names: readonly string[], clock: Clock): boolean {
  if (!belongsTogether(caPem, identity)) return false;
  return certifies(identity.certPem, names) && clock.nowMs() < renewAtMs(identity.certPem);
}
