/** All commands of ctl. Only what is registered here is loaded at start; connections come with the call. */
import type { Command } from 'commander';
import { registerApply } from './commands/apply.ts';
import { registerCreate } from './commands/create.ts';
import { registerGet } from './commands/get.ts';
import { registerLab } from './commands/lab.ts';
import { registerToken } from './commands/token.ts';
import type { OpenContext } from './context.ts';

export function registerCommands(program: Command, open: OpenContext): void {
  registerGet(program, open);
  registerApply(program, open);
  registerCreate(program, open);
  registerToken(program, open);
  registerLab(program);
}
