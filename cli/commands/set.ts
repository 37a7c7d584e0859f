/** `ctl set image`: other images for the containers of a workload or Pod. `ctl set env` is in set-env.ts. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import type { Container, PodSpec } from '../../proto/gen/types.ts';
import { collect } from '../arguments.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { dryRunMode, dryRunSuffix } from '../dry-run.ts';
import { changePodSpec } from '../pod-specs.ts';
import { qualifiedName } from '../resources.ts';
import { forEach, type SelectOptions, selectReferences } from '../selection.ts';
import { type SetEnvOptions, setEnv } from './set-env.ts';

export interface SetImageOptions extends SelectOptions {
  readonly dryRun?: string;
}

export function registerSet(program: Command, open: OpenContext): void {
  const set = program.command('set');
  const add = (name: string, description: string, usage: string): Command =>
    set
      .command(`${name} [words...]`)
      .description(description)
      .usage(usage)
      .option('-f, --filename <file...>', 'what these manifests name')
      .option('-R, --recursive', 'folders below as well')
      .option('-l, --selector <labels>', 'those with these labels')
      .option('--all', 'all of the kind in the namespace')
      .option('--dry-run <mode>', 'server: all but the write');
  add(
    'image',
    'change images; a Deployment then rolls out',
    'deploy/NAME CONTAINER=IMAGE... (* for all containers)',
  ).action(async (words: string[], _options, command: Command) => {
    const options = optionsOf<SetImageOptions>(command);
    await setImage(await open(options), words, options);
  });
  add('env', 'set and remove variables; a Deployment then rolls out', 'deploy/NAME KEY=VALUE... KEY-... | --list')
    .option('-c, --containers <name>', 'of this container; * stands for any part of a name', '*')
    .option('-e, --env <pair>', 'KEY=VALUE, as among the words; may be repeated', collect)
    .option('--from <source>', 'each key of configmap/NAME or secret/NAME as a variable')
    .option('--keys <keys>', 'with --from: only these, by comma')
    .option('--prefix <prefix>', 'with --from: before each name')
    .option('--overwrite', 'change what there is (default)')
    .option('--no-overwrite', 'refuse to change what there is')
    .option('--list', 'show the variables')
    .action(async (words: string[], _options, command: Command) => {
      const options = optionsOf<SetEnvOptions>(command);
      await setEnv(await open(options), words, options);
    });
}

type Images = ReadonlyMap<string, string>;

export async function setImage(context: Context, words: readonly string[], options: SetImageOptions): Promise<void> {
  const images: Images = new Map(
    words
      .filter((word) => word.includes('='))
      .map((word) => {
        const at = word.indexOf('=');
        return [word.slice(0, at), word.slice(at + 1)] as const;
      }),
  );
  if (images.size === 0) {
    throw new GantryError('invalidArgument', 'at least one image update is required: CONTAINER=IMAGE');
  }
  const names = words.filter((word) => !word.includes('='));
  const references = await selectReferences(context, names, options);
  const mode = dryRunMode(options.dryRun);
  if (mode === 'client') throw new GantryError('invalidArgument', 'not supported: --dry-run=client; use server');
  await forEach(context, references, async (reference) => {
    const changed = await changePodSpec(context, reference, (spec) => withImages(spec, images), mode === 'server');
    const name = qualifiedName(reference.kind, reference.name);
    if (changed) context.write(`${name} image updated${dryRunSuffix(mode)}\n`);
  });
}

/** Pure. Undefined when all images are as wanted. */
export function withImages(spec: PodSpec, images: Images): PodSpec | undefined {
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  for (const name of images.keys()) {
    if (name === '*' || all.some((container) => container.name === name)) continue;
    const known = all.map((container) => container.name).join(', ');
    throw new GantryError('notFound', `unable to find container named "${name}"; there is ${known}`);
  }
  const imageOf = ({ name, image }: Container): string => images.get(name) ?? images.get('*') ?? image;
  if (all.every((container) => imageOf(container) === container.image)) return undefined;
  const change = (containers: readonly Container[]): Container[] =>
    containers.map((container) => ({ ...container, image: imageOf(container) }));
  return {
    ...spec,
    containers: change(spec.containers),
    ...(spec.initContainers && { initContainers: change(spec.initContainers) }),
  };
}
