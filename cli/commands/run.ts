/** `ctl run`: one pod from an image. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import type { Container, Pod, PodSpec } from '../../proto/gen/types.ts';
import { collect } from '../arguments.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { createOne, type PrintOptions } from '../dry-run.ts';
import { parseEnv, parseLabels, parsePort } from '../flags.ts';

export interface RunOptions extends PrintOptions {
  readonly image: string;
  readonly port?: string;
  readonly env?: string[];
  readonly labels?: string;
  readonly restart?: string;
  readonly imagePullPolicy?: string;
  readonly command?: boolean;
  readonly stdin?: boolean;
  readonly tty?: boolean;
  readonly rm?: boolean;
}

export function registerRun(program: Command, open: OpenContext): void {
  program
    .command('run <name> [args...]')
    .usage('NAME --image=IMAGE [options] [-- ARGS...]')
    .requiredOption('--image <image>', 'the image')
    .option('--port <port>', 'a port that the container serves on')
    .option('--env <name=value>', 'an environment variable (again for more)', collect)
    .option('-l, --labels <labels>', 'labels: app=web,tier=front (default: run=NAME)')
    .option('--restart <policy>', 'Always, OnFailure or Never', 'Always')
    .option('--image-pull-policy <policy>', 'Always, IfNotPresent or Never')
    .option('--command', 'what follows -- replaces the entrypoint, not its arguments')
    .option('--dry-run <mode>', 'client or server: all but the write')
    .option('-o, --output <format>', 'json, yaml or name')
    .option('-i, --stdin', 'not supported')
    .option('-t, --tty', 'not supported')
    .option('--rm', 'not supported')
    .action(async (name: string, args: string[], _options, command: Command) => {
      const options = optionsOf<RunOptions>(command);
      await run(await open(options), name, args, options);
    });
}

export async function run(context: Context, name: string, args: readonly string[], options: RunOptions): Promise<void> {
  if (options.stdin || options.tty || options.rm) {
    throw new GantryError(
      'invalidArgument',
      `not supported: run -i, -t and --rm; create the pod (-- sleep infinity), then: ctl exec -it ${name} -- sh`,
    );
  }
  await createOne(context, podOf(name, args, context.namespace, options), 'created', options);
}

/** Pure. What is wrong with it the API says. */
export function podOf(name: string, args: readonly string[], namespace: string, options: RunOptions): Pod {
  const words = args.length > 0 ? { [options.command ? 'command' : 'args']: [...args] } : {};
  const container: Container = {
    name,
    image: options.image,
    ...words,
    ...(options.env && { env: parseEnv(options.env) }),
    ...(options.port !== undefined && { ports: [{ containerPort: parsePort(options.port, '--port') }] }),
    ...(options.imagePullPolicy !== undefined && {
      imagePullPolicy: options.imagePullPolicy as NonNullable<Container['imagePullPolicy']>,
    }),
  };
  const labels = options.labels === undefined ? { run: name } : parseLabels(options.labels);
  const restartPolicy = (options.restart ?? 'Always') as NonNullable<PodSpec['restartPolicy']>;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels },
    spec: { containers: [container], restartPolicy },
  };
}
