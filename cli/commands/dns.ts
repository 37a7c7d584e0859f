/** `ctl dns NAME`: asks the cluster's DNS as a pod would, and shows where the answer comes from. */
import type { Command } from 'commander';
import type { ResolveResponse } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { asText } from '../output/structured.ts';
import { renderTable } from '../output/table.ts';

interface DnsOptions {
  readonly type?: string;
  readonly output?: string;
}

export function registerDns(program: Command, open: OpenContext): void {
  program
    .command('dns <name>')
    .option('-t, --type <type>', 'A, AAAA, SRV, PTR, TXT or CNAME (default: A; PTR for an address)')
    .option('-o, --output <format>', 'json or yaml')
    .action(async (name: string, _options, command: Command) => {
      const options = optionsOf<DnsOptions>(command);
      await dns(await open(options), name, options);
    });
}

export async function dns(context: Context, name: string, { type, output }: DnsOptions): Promise<void> {
  const request = { name, namespace: context.namespace, ...(type !== undefined && { type: type.toUpperCase() }) };
  const response = await context.cluster.Resolve(request);
  context.write(output === undefined ? resolvedText(response) : asText(response, output));
  if (response.rcode !== 'NOERROR') context.setExitCode(1);
}

/** Pure. */
export function resolvedText({
  rcode = '',
  records = [],
  canonicalName,
  origin = [],
  server,
}: ResolveResponse): string {
  const rows = records.map(({ name = '', ttlSeconds = 0, type = '', data = '', source = '' }) => [
    name,
    String(ttlSeconds),
    type,
    data,
    source || '<none>',
  ]);
  const table = rows.length > 0 ? renderTable(['NAME', 'TTL', 'TYPE', 'DATA', 'SOURCE'], rows) : '';
  const nothing = rows.length === 0 ? `${canonicalName ?? ''}: no records (${rcode})\n` : '';
  const sentences = origin.map((sentence) => `${sentence}\n`).join('');
  return `${table}${nothing}\n${sentences}Answered by ${server ?? 'unknown'}: ${rcode}\n`;
}
