/**
 * What the cluster tells every node at its welcome, kept in the data folder: an agent that starts while the control
 * plane is away needs it to serve its pods.
 */

import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../../lib/pki/files.ts';
import type { Welcome } from '../../proto/gen/types.ts';

const serversFile = (dataDir: string): string => `${dataDir}/servers.json`;

/** host:port of the control planes that the node was told of; empty when it was not. */
export async function readServers(dataDir: string): Promise<readonly string[]> {
  const text = await readFile(serversFile(dataDir), 'utf8').catch(() => '[]');
  try {
    return (JSON.parse(text) as string[]).map(String);
  } catch {
    return [];
  }
}

export async function writeServers(dataDir: string, servers: readonly string[]): Promise<void> {
  if (JSON.stringify(await readServers(dataDir)) === JSON.stringify(servers)) return;
  await writeFileAtomic(serversFile(dataDir), JSON.stringify(servers));
}

export interface ClusterSettings {
  readonly clusterCIDR: string;
  readonly serviceCIDR: string;
  readonly dnsIP: string;
  readonly zone: string;
}

export function settingsOf(welcome: Welcome): ClusterSettings | undefined {
  const { clusterCIDR, serviceCIDR, dnsIP, zone } = welcome;
  return clusterCIDR && serviceCIDR && dnsIP && zone ? { clusterCIDR, serviceCIDR, dnsIP, zone } : undefined;
}

const settingsFile = (dataDir: string): string => `${dataDir}/cluster.json`;

export async function readSettings(dataDir: string): Promise<ClusterSettings | undefined> {
  const text = await readFile(settingsFile(dataDir), 'utf8').catch(() => '');
  try {
    return settingsOf(JSON.parse(text) as Welcome);
  } catch {
    return undefined; // none yet; the next welcome brings them
  }
}

export async function writeSettings(dataDir: string, settings: ClusterSettings): Promise<void> {
  await writeFileAtomic(settingsFile(dataDir), Buffer.from(JSON.stringify(settings)));
}
