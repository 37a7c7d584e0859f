/** Upstream servers as the machine's resolv.conf names them, read again when it may have changed. */
import { readFile } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import { parseResolvConf, type Server } from './upstream.ts';

const rereadMs = 5000;

export function resolvConfServers(
  own: readonly Server[],
  clock: Clock,
  path = '/etc/resolv.conf',
): () => Promise<readonly Server[]> {
  let servers: readonly Server[] = [];
  let readAtMs: number | undefined;
  return async () => {
    const nowMs = clock.monotonicMs();
    if (readAtMs === undefined || nowMs - readAtMs >= rereadMs) {
      readAtMs = nowMs;
      // Without the file there is no upstream.
      servers = parseResolvConf(await readFile(path, 'utf8').catch(() => ''), own);
    }
    return servers;
  };
}
