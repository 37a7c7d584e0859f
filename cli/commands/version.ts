/** `ctl version`: of ctl itself, and of the control plane. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type OpenContext, optionsOf } from '../context.ts';

interface VersionOptions {
  readonly client?: boolean;
  readonly output?: string;
}

const packageFile = new URL('../../package.json', import.meta.url);

export function registerVersion(program: Command, open: OpenContext): void {
  program
    .command('version')
    .option('--client', 'only of ctl')
    .option('-o, --output <format>', 'json or yaml')
    .action(async (_options, command: Command) => {
      const options = optionsOf<VersionOptions>(command);
      const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };
      const write = command.configureOutput().writeOut!;
      if (!options.output) write(`Client Version: v${version}\n`);
      const server = options.client ? undefined : await (await open(options)).cluster.GetClusterInfo({});
      if (!options.output) return server && write(`Server Version: v${server.version}\n`);
      const { asText } = await import('../output/structured.ts');
      const value = {
        clientVersion: { gitVersion: `v${version}` },
        ...(server && { serverVersion: { gitVersion: `v${server.version}` } }),
      };
      write(asText(value, options.output));
    });
}
