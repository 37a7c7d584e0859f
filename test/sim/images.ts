/** What the simulated registry holds and what its programs do. */
import { createFakeRegistry, type FakeRegistry } from '../../node-agent/images/fake.ts';
import { type FakeProgram, readProgram } from '../../node-agent/runtime/fake-program.ts';
import type { ContainerConfig } from '../../node-agent/runtime/runtime.ts';

export const images = ['web:1', 'web:2', 'web:3', 'stubborn:1'] as const;

export function createRegistry(): FakeRegistry {
  const registry = createFakeRegistry();
  for (const image of images) registry.push(image, { config: { cmd: [`/bin/${image.split(':')[0]}`, image] } });
  return registry;
}

const cpuMillis: Readonly<Record<string, number>> = { 'web:1': 4.5, 'web:2': 9.5, 'web:3': 19.5, 'stubborn:1': 9.5 };

/**
 * What a server of the image uses, all the time. Never a whole number: a clock that is wrong by two in a hundred must not
 * tip what is rounded up.
 */
export const cpuMillisOf = (image: string): number => cpuMillis[image] ?? 0.5;

/** Servers end when told to; `stubborn` needs SIGKILL; commands such as `sleep 3` do what they say. */
export function programOf({ argv }: ContainerConfig): FakeProgram {
  const program = argv[0] === '/bin/stubborn' ? { ignoresSigterm: true } : readProgram(argv);
  return { ...program, cpuMillis: cpuMillisOf(argv[1] ?? '') };
}
