/** Objects that controllers make and that have none: whom they were called after. Pure. */
import { controllerOf } from '../../lib/model/object.ts';
import type { KubeObject } from '../../proto/gen/types.ts';

const made: ReadonlySet<string> = new Set(['Pod', 'ReplicaSet', 'ControllerRevision']);

/** `web` of web-x2kqp and web-0. Undefined for what has a controller, and for what nobody makes. */
export function orphanName(object: KubeObject): string | undefined {
  if (!made.has(object.kind) || controllerOf(object)) return undefined;
  const { name } = object.metadata;
  const end = name.lastIndexOf('-');
  return end > 0 ? name.slice(0, end) : undefined;
}
