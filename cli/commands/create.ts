/** `ctl create -f`: as apply, but what exists already is refused. */
import type { Command } from 'commander';
import { fromEnvelope, toEnvelope } from '../../lib/model/codec.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { printWarnings } from '../dry-run.ts';
import { type ApplyOptions, addFileOptions, sendAll } from './apply.ts';
import { registerCreateKinds } from './create-kinds.ts';

export function registerCreate(program: Command, open: OpenContext): void {
  const command = addFileOptions(program.command('create')).action(async (_options, called: Command) => {
    const options = optionsOf<ApplyOptions>(called);
    await create(await open(options), options);
  });
  registerCreateKinds(command, open);
}

export async function create(context: Context, options: ApplyOptions): Promise<void> {
  await sendAll(context, options, async (object, dryRun) => {
    const response = await context.cluster.Create({ object: toEnvelope(object), dryRun });
    printWarnings(context, response);
    return { object: fromEnvelope(response.object) ?? object, result: 'created' };
  });
}
