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

/** Servers end when told to; `stubborn` needs SIGKILL; commands such as `sleep 3` do what they say. */
export function programOf({ argv }: ContainerConfig): FakeProgram {
  return argv[0] === '/bin/stubborn' ? { ignoresSigterm: true } : readProgram(argv);
}
