/** All commands of ctl. Only what is registered here is loaded at start; connections and printers come with the call. */
import type { Command } from 'commander';
import type { OpenContext } from './context.ts';

export async function registerCommands(program: Command, open: OpenContext): Promise<void> {
  const modules = await Promise.all([import('./commands/get.ts'), import('./commands/lab.ts')]);
  const [get, lab] = modules;
  get.registerGet(program, open);
  lab.registerLab(program);
}
