/** What the etcd members of a lab have to say. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { machineData } from '../../deploy/lab/state.ts';
import type { Lab } from './lab-fixture.ts';

interface EtcdLine {
  readonly ts: string;
  readonly msg: string;
  readonly took?: string;
}

function linesOf(lab: Lab, machine: string): string[] {
  const path = join(machineData(lab.name, machine), 'etcd', 'etcd.log');
  return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
}

/** The last ones of each member, warnings and worse. */
export function etcdLogs(lab: Lab, machines: readonly string[], most: number): string[] {
  return machines.flatMap((machine) =>
    linesOf(lab, machine)
      .slice(-most)
      .map((line) => `${machine}: ${line}`),
  );
}

/** Writes to the disk that took a second or more, as etcd warns of them: `machine took`. */
export function slowSyncs(lab: Lab, machines: readonly string[], sinceMs: number): string[] {
  return machines.flatMap((machine) =>
    linesOf(lab, machine).flatMap((line) => {
      if (!line.includes('slow fdatasync')) return [];
      const { ts, took } = JSON.parse(line) as EtcdLine;
      return Date.parse(ts) >= sinceMs ? [`${machine} ${took}`] : [];
    }),
  );
}
