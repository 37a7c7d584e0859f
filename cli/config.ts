/** Where ctl finds the cluster: a file with addresses and a client certificate. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { GantryError, messageOf } from '../lib/errors.ts';

export interface ClientConfig {
  /** host:port of the API, in the order in which they are tried. */
  readonly servers: readonly string[];
  readonly caCertificate: string;
  readonly clientCertificate: string;
  readonly clientKey: string;
  readonly namespace: string;
  /** The file it was read from. */
  readonly path: string;
}

const labConfig = '/var/lib/gantry-lab/default/admin.conf';

/** `--config`, then $GANTRY_CONFIG, then ~/.gantry/config, then the default lab's. */
export function findConfig(flag: string | undefined, env: NodeJS.ProcessEnv): string {
  const named = flag ?? env.GANTRY_CONFIG;
  if (named !== undefined && named !== '') {
    if (existsSync(named)) return named;
    throw new GantryError('notFound', `there is no config file ${named}; check --config or GANTRY_CONFIG`);
  }
  const found = [`${homedir()}/.gantry/config`, labConfig].find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new GantryError(
    'notFound',
    'no cluster is configured: start a lab with `npm start` or `ctl lab up`; or name the admin.conf of another lab (/var/lib/gantry-lab/LAB/admin.conf) or control plane with --config or $GANTRY_CONFIG, or copy it to ~/.gantry/config',
  );
}

export function readConfig(path: string): ClientConfig {
  let value: unknown;
  try {
    value = parseText(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new GantryError('invalidArgument', `cannot read the config file ${path}: ${messageOf(error)}`);
  }
  return parseConfig(value, path);
}

/** JSON, as it is written; YAML for those who edit it. Its library is loaded only then: it would slow every start. */
function parseText(text: string): unknown {
  if (text.trimStart().startsWith('{')) return JSON.parse(text);
  const { parse } = createRequire(import.meta.url)('yaml') as typeof import('yaml');
  return parse(text);
}

export function parseConfig(value: unknown, path: string): ClientConfig {
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const text = (name: string): string => {
    const field = fields[name];
    if (typeof field === 'string' && field !== '') return field;
    throw new GantryError(
      'invalidArgument',
      `config file ${path}: ${name} is missing; copy the control plane's admin.conf again`,
    );
  };
  const servers = Array.isArray(fields.servers) ? fields.servers.map(String) : [];
  return {
    servers: servers.length > 0 ? servers : [text('server')],
    caCertificate: text('caCertificate'),
    clientCertificate: text('clientCertificate'),
    clientKey: text('clientKey'),
    namespace: typeof fields.namespace === 'string' ? fields.namespace : 'default',
    path,
  };
}
