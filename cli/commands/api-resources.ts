/** `ctl api-resources`: the kinds there are. Needs no cluster. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import { kinds } from '../../lib/model/schema.ts';
import { renderTable } from '../output/table.ts';

interface ApiResourcesOptions {
  readonly namespaced?: boolean;
  readonly headers?: boolean;
  readonly output?: string;
}

export function registerApiResources(program: Command): void {
  program
    .command('api-resources')
    .option('--namespaced', 'only those that live in a namespace')
    .option('--no-namespaced', 'only those that do not')
    .option('--no-headers', 'without the header line')
    .option('-o, --output <format>', 'name or wide')
    .action((options: ApiResourcesOptions, command: Command) => {
      // commander makes the positive form of a --no-option true when neither is given.
      const given = command.getOptionValueSource('namespaced') === 'cli';
      command.configureOutput().writeOut!(resourceList(given ? options : { ...options, namespaced: undefined }));
    });
}

/** Pure. */
export function resourceList({
  namespaced,
  headers,
  output,
}: Omit<ApiResourcesOptions, 'namespaced'> & { readonly namespaced?: boolean | undefined }): string {
  const shown = kinds
    .filter(({ clusterScoped }) => namespaced === undefined || namespaced !== clusterScoped)
    .sort((a, b) => (a.plural < b.plural ? -1 : 1));
  if (output === 'name') {
    return shown
      .map(({ plural, apiVersion }) => `${plural}${apiVersion.includes('/') ? `.${apiVersion.split('/')[0]}` : ''}\n`)
      .join('');
  }
  if (output !== undefined && output !== 'wide') {
    throw new GantryError('invalidArgument', `unknown output format "${output}"; use name or wide`);
  }
  const rows = shown.map(({ plural, shortNames, apiVersion, clusterScoped, kind }) => [
    plural,
    shortNames.join(','),
    apiVersion,
    String(!clusterScoped),
    kind,
  ]);
  return renderTable(headers === false ? undefined : ['NAME', 'SHORTNAMES', 'APIVERSION', 'NAMESPACED', 'KIND'], rows);
}
