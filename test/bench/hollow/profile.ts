/** Where a process spent its time, from the profile that V8 wrote when it ended. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
}

interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface ProfileLine {
  readonly where: string;
  readonly seconds: number;
}

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** CPU.date.time.process.thread.number: of its other threads there are profiles, too. */
const mainThreads = /^CPU\.\d+\.\d+\.\d+\.0\.\d+\.cpuprofile$/;

/** Self time of the main thread, most first; what stood idle is left out. Empty when there is no profile. */
export function readProfile(folder: string, most: number): ProfileLine[] {
  const file = readdirSync(folder).find((name) => mainThreads.test(name));
  if (file === undefined) return [];
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile;
  const names = new Map(nodes.map((node) => [node.id, nameOf(node)]));
  const seconds = new Map<string, number>();
  samples.forEach((id, index) => {
    const name = names.get(id)!;
    seconds.set(name, (seconds.get(name) ?? 0) + (timeDeltas[index + 1] ?? 0) / 1e6);
  });
  seconds.delete('(idle)');
  return [...seconds]
    .map(([where, spent]) => ({ where, seconds: spent }))
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, most);
}

function nameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  const name = functionName || '(anonymous)';
  if (url === '') return name;
  const path = url
    .replace('file://', '')
    .replace(root, '')
    .replace(/^.*node_modules\//, '');
  return `${name} ${path}:${lineNumber + 1}`;
}
