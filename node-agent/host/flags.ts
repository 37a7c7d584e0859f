/** The agent's command line, checked. */
import { hostname } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type LogLevel, logLevels } from '../../lib/log.ts';

export interface AgentFlags {
  readonly nodeName: string;
  readonly server: readonly string[];
  readonly tokenFile?: string;
  readonly token?: string;
  readonly dataDir: string;
  readonly runDir: string;
  readonly nodeIp: string;
  readonly cgroupParent: string;
  readonly defaultRegistry: string;
  readonly insecureRegistry: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly listen: string;
  readonly maxPods: number;
  readonly logLevel: LogLevel;
}

const defaultApiPort = 6443;

/** Prints usage and ends the process when the arguments do not fit. */
export function parseFlags(argv: readonly string[], version: string): AgentFlags {
  return new Command('gantry-node-agent')
    .description('Runs the pods that the cluster places on this machine.')
    .version(version)
    .option('--node-name <name>', "this node's name in the cluster", checkName, hostname().toLowerCase())
    .requiredOption(
      '--server <host[:port],...>',
      `required: API addresses of the control plane (port ${defaultApiPort} when none is named)`,
      splitServers,
    )
    .addOption(new Option('--token <token>', 'join token; only needed the first time').conflicts('tokenFile'))
    .option('--token-file <file>', 'file with the join token; only needed the first time')
    .option('--data-dir <dir>', 'images, pods, identity; survives a reboot', '/var/lib/gantry')
    .option('--run-dir <dir>', 'what need not survive a reboot', '/run/gantry')
    .requiredOption('--node-ip <address>', 'required: IPv4 address by which other nodes reach this one', checkAddress)
    .option('--cgroup-parent <path>', 'cgroup that all pods live in', checkCgroup, '/gantry')
    .option('--default-registry <host[:port]>', 'serves image names without a registry', 'docker.io')
    .option('--insecure-registry <host:port>', 'may be spoken to without TLS; repeatable', collect, [])
    .option('--labels <k=v,...>', 'labels of the node', parseLabels, {})
    .option('--listen <host:port>', 'where logs, exec and stats are served', '0.0.0.0:10250')
    .option('--max-pods <number>', 'pods this node takes at most', checkCount, 110)
    .addOption(new Option('--log-level <level>', 'how much is logged').choices(logLevels).default('info'))
    .parse(argv)
    .opts<AgentFlags>();
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function splitServers(value: string): readonly string[] {
  return value.split(',').map((server) => {
    const [, host, port] = /^(\[[0-9a-fA-F:]+\]|[^:/\s]+)(?::(\d{1,5}))?$/.exec(server.trim()) ?? [];
    if (host === undefined) throw new InvalidArgumentError(`"${server}" is not host or host:port`);
    return `${host}:${port ?? defaultApiPort}`;
  });
}

/** RFC 1123 */
function checkName(value: string): string {
  if (/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(value)) return value;
  throw new InvalidArgumentError('use lower-case letters, digits, "-" and "."');
}

function checkAddress(value: string): string {
  const parts = value.split('.').map(Number);
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(value) && parts.every((part) => part <= 255)) return value;
  throw new InvalidArgumentError('use an IPv4 address');
}

function checkCgroup(value: string): string {
  if (/^(\/[^/\s]+)+$/.test(value) && !value.split('/').includes('..')) return value;
  throw new InvalidArgumentError('use an absolute path such as /gantry');
}

function checkCount(value: string): number {
  const count = Number(value);
  if (Number.isInteger(count) && count > 0) return count;
  throw new InvalidArgumentError('use a whole number above 0');
}

function parseLabels(value: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const entry of value.split(',').filter(Boolean)) {
    const [key = '', ...rest] = entry.split('=');
    if (!key || rest.length !== 1) throw new InvalidArgumentError(`"${entry}" is not key=value`);
    labels[key] = rest[0]!;
  }
  return labels;
}
