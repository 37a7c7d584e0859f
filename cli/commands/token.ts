/** `ctl token`: join tokens for nodes and further control planes. */
import type { Command } from 'commander';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { parseDurationSeconds } from '../duration.ts';
import { age, shortDuration } from '../output/age.ts';
import { renderTable } from '../output/table.ts';

export function registerToken(program: Command, open: OpenContext): void {
  const token = program.command('token');
  token
    .command('create')
    .description('print a new token; it is shown this once')
    .option('--role <role>', 'what joins with it: node or control-plane', 'node')
    .option('--ttl <duration>', 'how long it can be used: 30m, 24h', '24h')
    .action(async (_options, command: Command) => {
      const options = optionsOf<{ role: string; ttl: string }>(command);
      await createToken(await open(options), options);
    });
  token
    .command('list')
    .description('show the tokens that can be used, without their secrets')
    .action(async (_options, command: Command) => listTokens(await open(optionsOf(command))));
  token
    .command('revoke <id>')
    .description('make a token useless; what joined with it stays')
    .action(async (id: string, _options, command: Command) => {
      const context = await open(optionsOf(command));
      await context.cluster.RevokeToken({ id });
      context.write(`token/${id} revoked\n`);
    });
}

async function createToken(context: Context, { role, ttl }: { role: string; ttl: string }): Promise<void> {
  const { token } = await context.cluster.CreateToken({ role, ttlSeconds: parseDurationSeconds(ttl) });
  context.write(`${token}\n`);
}

async function listTokens(context: Context): Promise<void> {
  const { tokens = [] } = await context.cluster.ListTokens({});
  if (tokens.length === 0) return context.warn('No tokens; make one with `ctl token create`');
  const nowMs = context.clock.nowMs();
  const rows = tokens.map(({ id = '', role = '', createdAt, expiresAt }) => [
    id,
    role,
    age(createdAt, nowMs),
    expiresAt ? shortDuration(Date.parse(expiresAt) - nowMs) : '<never>',
  ]);
  context.write(renderTable(['ID', 'ROLE', 'AGE', 'EXPIRES IN'], rows));
}
