/** Where a process spent its time. */
import { fileURLToPath } from 'node:url';
import type { CpuProfile, ProfileNode } from './profiler.ts';

export interface ProfileLine {
  readonly where: string;
  readonly seconds: number;
}

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Self time, most first; what stood idle is left out. */
export function selfTimes(profiles: readonly CpuProfile[], most: number): ProfileLine[] {
  const seconds = new Map<string, number>();
  for (const { nodes, samples, timeDeltas } of profiles) {
    const names = new Map(nodes.map((node) => [node.id, nameOf(node)]));
    samples.forEach((id, index) => {
      const name = names.get(id)!;
      seconds.set(name, (seconds.get(name) ?? 0) + (timeDeltas[index + 1] ?? 0) / 1e6);
    });
  }
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
