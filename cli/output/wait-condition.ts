/** What `ctl wait --for` waits for. Pure. */
import { GantryError } from '../../lib/errors.ts';
import { toManifest } from '../../lib/model/manifest.ts';
import type { Condition, KubeObject } from '../../proto/gen/types.ts';

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
  if (word === 'jsonpath' && value !== '') return { type: 'holds', test: parsePath(value) };
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

/** `{.status.readyReplicas}=3`, or without a value: it is there. Plain fields and [n] only. */
function parsePath(text: string): (object: KubeObject) => boolean {
  const match = /^\{?\.?((?:[A-Za-z][\w-]*|\[\d+\])(?:\.[A-Za-z][\w-]*|\[\d+\])*)\}?(?:=(.*))?$/s.exec(text);
  if (!match) {
    throw new GantryError(
      'invalidArgument',
      `not supported: jsonpath=${text}; use fields alone, such as {.status.phase}=Running`,
    );
  }
  const [, path = '', wanted] = match;
  const names = path.split(/\.|\[(\d+)\]/).filter((part): part is string => part !== undefined && part !== '');
  return (object) => {
    let value: unknown = toManifest(object);
    for (const name of names) value = (value as Record<string, unknown> | undefined)?.[name];
    if (value === undefined) return false;
    return wanted === undefined || (typeof value === 'object' ? JSON.stringify(value) : String(value)) === wanted;
  };
}
