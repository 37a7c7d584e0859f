/**
 * All commands of ctl. Only the modules of commands whose names stand on the command line are loaded: the others are
 * there by name, for the help and for "did you mean".
 */
import type { Command } from 'commander';
import type { OpenContext } from './context.ts';

type Register = (program: Command, open: OpenContext) => void;

interface Entry {
  readonly name: string;
  readonly description: string;
  load(): Promise<Register>;
}

const entries: readonly Entry[] = [
  {
    name: 'get',
    description: 'show resources: pods, deploy/web, svc,deploy, all, ...',
    load: async () => (await import('./commands/get.ts')).registerGet,
  },
  {
    name: 'apply',
    description: 'make the cluster look like the manifests',
    load: async () => (await import('./commands/apply.ts')).registerApply,
  },
  {
    name: 'create',
    description: 'create the objects of manifests',
    load: async () => (await import('./commands/create.ts')).registerCreate,
  },
  {
    name: 'delete',
    description: 'delete resources by manifest, name or label, and wait until they are gone',
    load: async () => (await import('./commands/delete.ts')).registerDelete,
  },
  {
    name: 'describe',
    description: 'show one resource in full, with its events',
    load: async () => (await import('./commands/describe.ts')).registerDescribe,
  },
  {
    name: 'logs',
    description: 'print what the containers of a pod printed',
    load: async () => (await import('./commands/logs.ts')).registerLogs,
  },
  {
    name: 'exec',
    description: 'run a command in a container',
    load: async () => (await import('./commands/exec.ts')).registerExec,
  },
  {
    name: 'scale',
    description: 'set how many replicas there should be',
    load: async () => (await import('./commands/scale.ts')).registerScale,
  },
  {
    name: 'rollout',
    description: 'follow, restart, undo, pause or resume a rollout',
    load: async () => (await import('./commands/rollout.ts')).registerRollout,
  },
  {
    name: 'token',
    description: 'join tokens: with one, a machine becomes a node',
    load: async () => (await import('./commands/token.ts')).registerToken,
  },
  {
    name: 'lab',
    description: 'a cluster of machines on this host, to try and to break',
    load: async () => (await import('./commands/lab.ts')).registerLab,
  },
];

/** `words` is what stands on the command line, in any order. */
export async function registerCommands(program: Command, open: OpenContext, words: readonly string[]): Promise<void> {
  const called = new Set(words);
  for (const { name, description, load } of entries) {
    if (called.has(name)) (await load())(program, open);
    const command = program.commands.find((registered) => registered.name() === name) ?? program.command(name);
    command.description(description);
  }
}
