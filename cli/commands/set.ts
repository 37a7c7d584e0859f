/** `ctl set image`: other images for the containers of a workload or Pod. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import { podTemplateOf, withPodTemplate } from '../../lib/model/workloads.ts';
import type { Container, KubeObject, PodSpec } from '../../proto/gen/types.ts';
import { changeObject } from '../changing.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { dryRunMode, dryRunSuffix } from '../dry-run.ts';
import { qualifiedName } from '../resources.ts';
import { forEach, type SelectOptions, selectReferences } from '../selection.ts';

export interface SetImageOptions extends SelectOptions {
  readonly dryRun?: string;
}

export function registerSet(program: Command, open: OpenContext): void {
  program
    .command('set')
    .command('image [words...]')
    .description('change images; a Deployment then rolls out')
    .usage('deploy/NAME CONTAINER=IMAGE... (* for all containers)')
    .option('-f, --filename <file...>', 'what these manifests name')
    .option('-R, --recursive', 'folders below as well')
    .option('-l, --selector <labels>', 'those with these labels')
    .option('--all', 'all of the kind in the namespace')
    .option('--dry-run <mode>', 'server: all but the write')
    .action(async (words: string[], _options, command: Command) => {
      const options = optionsOf<SetImageOptions>(command);
      await setImage(await open(options), words, options);
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
  await forEach(context, references, async ({ kind, namespace, name }) => {
    const { changed } = await changeObject(
      context,
      { kind, namespace, name },
      (object: KubeObject) => {
        if (object.kind === 'Pod') {
          const spec = withImages(object.spec, images);
          return spec && { ...object, spec };
        }
        const template = podTemplateOf(object);
        if (!template) {
          throw new GantryError('invalidArgument', `a ${kind} has no containers; name a workload or a pod`);
        }
        const spec = withImages(template.spec, images);
        return spec && withPodTemplate(object, { ...template, spec });
      },
      mode === 'server',
    );
    if (changed) context.write(`${qualifiedName(kind, name)} image updated${dryRunSuffix(mode)}\n`);
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
