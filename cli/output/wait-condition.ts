/** What `ctl wait --for` waits for. Pure. */
import { GantryError } from '../../lib/errors.ts';
import { toManifest } from '../../lib/model/manifest.ts';
import type { Condition, KubeObject } from '../../proto/gen/types.ts';
import { parsePath, valueText } from './json-path.ts';

export type Wanted =
  | { readonly type: 'create' }
  | { readonly type: 'delete' }
  | { readonly type: 'holds'; readonly test: (object: KubeObject) => boolean };

export function parseWanted(text: string): Wanted {
  const [word = '', ...rest] = text.split('=');
  const value = rest.join('=');
  if (text === 'delete' || text === 'create') return { type: text };
  if (word === 'condition' && value !== '') {
    const [type = '', status = 'true'] = value.split('=');
    return { type: 'holds', test: (object) => conditionHolds(object, type, status) };
  }
  if (word === 'jsonpath' && value !== '') return { type: 'holds', test: pathHolds(value) };
  throw new GantryError(
    'invalidArgument',
    `--for=${text}: use condition=NAME[=STATUS], delete, create or jsonpath='{.status.phase}'=VALUE`,
  );
}

function conditionHolds(object: KubeObject, type: string, wanted: string): boolean {
  const status = ('status' in object ? object.status : undefined) as
    | { conditions?: Condition[]; observedGeneration?: number }
    | undefined;
  // What is said about an older spec says nothing about this one.
  if (status?.observedGeneration !== undefined && status.observedGeneration < (object.metadata.generation ?? 0)) {
    return false;
  }
  const condition = status?.conditions?.find((entry) => entry.type.toLowerCase() === type.toLowerCase());
  return condition?.status.toLowerCase() === wanted.toLowerCase();
}

/** `{.status.readyReplicas}=3`, or without a value: it is there. */
function pathHolds(text: string): (object: KubeObject) => boolean {
  const [, path = '', wanted] = /^(\{.*?\}|[^=]*)(?:=(.*))?$/s.exec(text) ?? [];
  const find = parsePath(path);
  return (object) => {
    const manifest = toManifest(object);
    const values = find(manifest, manifest);
    return wanted === undefined ? values.length > 0 : values.some((value) => valueText(value) === wanted);
  };
}
