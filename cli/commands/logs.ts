/** `ctl logs`: what containers printed. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import type { LogsRequest, Pod } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { parseDurationSeconds } from '../duration.ts';
import { listObjects } from '../objects.ts';
import { chooseContainer, choosePod } from '../pod-choice.ts';
import { forEach } from '../selection.ts';

export interface LogsOptions {
  readonly container?: string;
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly tail?: string;
  readonly since?: string;
  readonly sinceTime?: string;
  readonly timestamps?: boolean;
  readonly allContainers?: boolean;
  readonly selector?: string;
  readonly prefix?: boolean;
}

export function registerLogs(program: Command, open: OpenContext): void {
  program
    .command('logs [pod] [container]')
    .usage('POD | TYPE/NAME [-c CONTAINER] [options]')
    .option('-c, --container <name>', 'which container; default: the first')
    .option('-f, --follow', 'go on with what is printed from now on')
    .option('-p, --previous', "of the container's former run")
    .option('--tail <lines>', 'only the last so many lines (with -l: 10)')
    .option('--since <duration>', 'not older than: 10s, 5m, 2h')
    .option('--since-time <time>', 'not older than: 2026-01-31T12:00:00Z')
    .option('--timestamps', 'each line with its time')
    .option('--all-containers', 'of all containers')
    .option('-l, --selector <labels>', 'of all pods with these labels')
    .option('--prefix', 'each line with its pod and container')
    .action(async (pod: string | undefined, container: string | undefined, _options, command: Command) => {
      const options = optionsOf<LogsOptions>(command);
      await logs(await open(options), pod, { ...options, ...(container !== undefined && { container }) });
    });
}

interface Source {
  readonly pod: Pod;
  readonly container: string;
}

export async function logs(context: Context, target: string | undefined, options: LogsOptions): Promise<void> {
  const request = requestOf(context, options);
  const sources = await sourcesOf(context, target, options);
  const read = (source: Source, whole: boolean): Promise<void> => readLog(context, source, request, options, whole);
  if (options.follow && sources.length > 1) {
    await Promise.all(sources.map((source) => forEach(context, [source], () => read(source, true))));
  } else if (sources.length === 1) {
    await read(sources[0]!, options.prefix === true);
  } else {
    await forEach(context, sources, (source) => read(source, true));
  }
}

async function sourcesOf(context: Context, target: string | undefined, options: LogsOptions): Promise<Source[]> {
  if (options.selector !== undefined) {
    if (target !== undefined) throw new GantryError('invalidArgument', 'give a name or a selector, not both');
    const pods = await listObjects(context, 'Pod', { selector: options.selector });
    if (pods.length === 0) context.warn(`No resources found in ${context.namespace} namespace.`);
    return pods.flatMap((pod) => containersOf(context, pod, options));
  }
  if (target === undefined) {
    throw new GantryError('invalidArgument', 'name a pod, deploy/NAME, or select pods with -l');
  }
  const { pod, count } = await choosePod(context, target);
  if (count > 1) context.warn(`Found ${count} pods, using pod/${pod.metadata.name}`);
  return containersOf(context, pod, options);
}

function containersOf(context: Context, pod: Pod, { allContainers, container }: LogsOptions): Source[] {
  if (!allContainers) return [{ pod, container: chooseContainer(pod, container, context.warn) }];
  const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  return all.map(({ name }) => ({ pod, container: name }));
}

function requestOf(context: Context, options: LogsOptions): LogsRequest {
  const { follow, previous, timestamps, since, sinceTime } = options;
  if (since !== undefined && sinceTime !== undefined) {
    throw new GantryError('invalidArgument', 'at most one of --since and --since-time can be used');
  }
  const tailLines = tailOf(options);
  const sinceSeconds = since !== undefined ? parseDurationSeconds(since) : secondsSince(sinceTime, context);
  return {
    ...(follow && { follow }),
    ...(previous && { previous }),
    ...(timestamps && { timestamps }),
    ...(tailLines !== undefined && { tailLines }),
    ...(sinceSeconds !== undefined && { sinceSeconds }),
  };
}

/** kubectl's: all of one pod, ten lines of each of several. */
function tailOf({ tail, selector, follow: _follow }: LogsOptions): number | undefined {
  if (tail === undefined) return selector === undefined ? undefined : 10;
  const lines = Number(tail);
  if (!Number.isInteger(lines) || lines < -1) {
    throw new GantryError('invalidArgument', `--tail=${tail}: give a number of lines, or -1 for all`);
  }
  return lines === -1 ? undefined : lines;
}

function secondsSince(time: string | undefined, context: Context): number | undefined {
  if (time === undefined) return undefined;
  const ms = Date.parse(time);
  if (Number.isNaN(ms)) {
    throw new GantryError('invalidArgument', `--since-time=${time}: write a time such as 2026-01-31T12:00:00Z`);
  }
  return Math.max(1, Math.ceil((context.clock.nowMs() - ms) / 1000));
}

/** `wholeLines`: when several logs share the output, or lines get a prefix. */
async function readLog(
  context: Context,
  { pod, container }: Source,
  request: LogsRequest,
  options: LogsOptions,
  wholeLines: boolean,
): Promise<void> {
  const { name, namespace = context.namespace } = pod.metadata;
  const stream = context.cluster.Logs({ ...request, namespace, pod: name, container }, { signal: context.signal });
  const prefix = options.prefix ? `[pod/${name}/${container}] ` : '';
  let rest: Uint8Array = new Uint8Array();
  for await (const { data } of stream) {
    if (!data) continue;
    if (!wholeLines) {
      context.write(data);
      await context.flushed();
      continue;
    }
    const bytes = Buffer.concat([rest, data]);
    const end = bytes.lastIndexOf(10) + 1;
    if (end > 0) context.write(prefixed(bytes.subarray(0, end), prefix));
    await context.flushed();
    rest = bytes.subarray(end);
  }
  if (rest.length > 0) context.write(prefixed(Buffer.concat([rest, Buffer.from('\n')]), prefix));
}

/** Bytes of whole lines; what is no UTF-8 stays as it is. */
function prefixed(lines: Buffer, prefix: string): Uint8Array {
  if (prefix === '') return lines;
  const text = lines.toString('latin1').slice(0, -1);
  const start = Buffer.from(prefix).toString('latin1');
  return Buffer.from(`${start}${text.replaceAll('\n', `\n${start}`)}\n`, 'latin1');
}
