/** Which objects of a kind a List or Watch is about: namespace, labels, fields. */
import type protobuf from 'protobufjs/light.js';
import { GantryError } from '../../lib/errors.ts';
import { kindPrefix } from '../../lib/model/keys.ts';
import { longestSelector, matchesSelector, parseSelector } from '../../lib/model/labels.ts';
import { type Kind, kindInfo } from '../../lib/model/schema.ts';
import type { KubeObject, LabelSelector } from '../../proto/gen/types.ts';
import { checkKeyPart, requestedKind } from './objects.ts';

export interface Selection {
  readonly kind: Kind;
  /** Undefined: all. */
  readonly namespace: string | undefined;
  /** Prefix of the keys in question. */
  readonly prefix: string;
  /** False when only the prefix selects, so that nobody needs to look at an object to know. */
  readonly looksInside: boolean;
  matches(object: KubeObject): boolean;
}

interface SelectingRequest {
  readonly kind?: string;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export function selectionOf(request: SelectingRequest): Selection {
  const { kind, clusterScoped } = requestedKind(request);
  checkKeyPart(request.namespace ?? '');
  const labels: LabelSelector = parseSelector(request.labelSelector ?? '');
  const fields = parseFieldSelector(kind, request.fieldSelector ?? '');
  return {
    kind,
    namespace: clusterScoped ? undefined : request.namespace || undefined,
    prefix: kindPrefix(kind, request.namespace),
    looksInside: labels.matchExpressions !== undefined || fields.length > 0,
    matches: (object) => matchesSelector(labels, object.metadata.labels) && fields.every((field) => field(object)),
  };
}

type Test = (object: KubeObject) => boolean;

function parseFieldSelector(kind: Kind, text: string): readonly Test[] {
  if (text.length > longestSelector) {
    const message = `field selector: ${text.length} characters; at most ${longestSelector} are allowed`;
    throw new GantryError('invalidArgument', `${message}: select by fewer fields`);
  }
  const terms = text.split(',').filter((term) => term.trim() !== '');
  return terms.map((term) => {
    const match = /^([A-Za-z][\w.]*)\s*(!=|==?)\s*(.*)$/s.exec(term.trim());
    if (!match) {
      const examples = 'examples: status.phase=Running, metadata.name!=web';
      throw new GantryError(
        'invalidArgument',
        `field selector: cannot read ${JSON.stringify(term.slice(0, 100))}; ${examples}`,
      );
    }
    const [, path = '', operator, wanted] = match;
    const names = path.split('.');
    checkField(kindInfo(kind).type, names, kind, path);
    return (object) => (valueAt(object, names) === wanted) === (operator !== '!=');
  });
}

function checkField(type: protobuf.Type, names: readonly string[], kind: Kind, path: string): void {
  const [name = '', ...rest] = names;
  const field = Object.hasOwn(type.fields, name) ? type.fields[name]! : undefined;
  field?.resolve();
  const message = field?.resolvedType as protobuf.Type | null | undefined;
  const usable = field && !field.map && !field.repeated && rest.length > 0 === Boolean(message);
  if (!usable) {
    const example = 'use a single value in the object, such as metadata.name or status.phase';
    throw new GantryError('invalidArgument', `field selector: ${kind} cannot be selected by ${path}; ${example}`);
  }
  if (message) checkField(message, rest, kind, path);
}

/** As text; '' for what is absent. */
function valueAt(object: KubeObject, names: readonly string[]): string {
  let value: unknown = object;
  for (const name of names) value = (value as Record<string, unknown> | undefined)?.[name];
  return value === undefined ? '' : String(value);
}
