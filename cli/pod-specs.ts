/** The containers of a Pod or of a workload's template, and changing them. */
import { GantryError } from '../lib/errors.ts';
import { podTemplateOf, withPodTemplate } from '../lib/model/workloads.ts';
import type { KubeObject, PodSpec } from '../proto/gen/types.ts';
import { changeObject } from './changing.ts';
import type { Context } from './context.ts';
import type { Reference } from './selection.ts';

export function podSpecOf(object: KubeObject): PodSpec {
  if (object.kind === 'Pod') return object.spec;
  const template = podTemplateOf(object);
  if (template) return template.spec;
  throw new GantryError('invalidArgument', `a ${object.kind} has no containers; name a workload or a pod`);
}

/** Whether there was anything to change; `change` answers undefined when there is nothing. */
export async function changePodSpec(
  context: Context,
  { kind, namespace, name }: Reference,
  change: (spec: PodSpec) => PodSpec | undefined,
  dryRun: boolean,
): Promise<boolean> {
  const changeOne = (object: KubeObject): KubeObject | undefined => {
    const spec = change(podSpecOf(object));
    if (!spec) return undefined;
    if (object.kind === 'Pod') return { ...object, spec };
    return withPodTemplate(object, { ...podTemplateOf(object)!, spec });
  };
  return (await changeObject(context, { kind, namespace, name }, changeOne, dryRun)).changed;
}
