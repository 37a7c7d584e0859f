/** Create, Update, Patch and Scale. */
import { GantryError } from '../../lib/errors.ts';
import { isFieldsAnnotation } from '../../lib/model/apply.ts';
import { receivedObject, toEnvelope } from '../../lib/model/codec.ts';
import { fromManifest, toManifest } from '../../lib/model/manifest.ts';
import { controllerOf } from '../../lib/model/object.ts';
import { problemsError } from '../../lib/model/problems.ts';
import type { KubeObject, ObjectMeta, ObjectResponse } from '../../proto/gen/types.ts';
import { autoscalingWarnings } from './autoscaling.ts';
import { changeObject } from './change.ts';
import { createObject } from './create.ts';
import type { ApiDependencies, ClusterHandlers } from './dependencies.ts';
import { mergePatched } from './merge-patch.ts';
import { nameOf, targetOf, targetOfObject } from './objects.ts';
import { overlapWarnings } from './overlaps.ts';
import { authorizeKind } from './roles.ts';

/** The schema ends after a dozen levels. */
const deepestPatch = 64;

type WriteHandlers = Pick<ClusterHandlers, 'Create' | 'Update' | 'Patch' | 'Scale'>;

export function writeHandlers(dependencies: ApiDependencies): WriteHandlers {
  return {
    async Create({ object, dryRun = false }, { peer, signal }) {
      const given = receivedObject(object);
      authorizeKind(peer, 'write', given.kind);
      const metadata = withoutFieldSets(given.metadata);
      const call = { ...dependencies, signal };
      const created = await createObject(call, { ...given, metadata } as KubeObject, { dryRun });
      const warnings = [
        ...(await autoscalingWarnings(dependencies, created)),
        ...(await overlapWarnings(dependencies, created)),
      ];
      return response(created, warnings);
    },

    async Update({ object, dryRun = false }, { peer, signal }) {
      const given = receivedObject(object);
      authorizeKind(peer, 'write', given.kind);
      const { resourceVersion, uid } = given.metadata;
      const options = { resourceVersion, uid, dryRun };
      const changed = await changeObject({ ...dependencies, signal }, targetOfObject(given), options, () => given);
      return response(changed, await overlapWarnings(dependencies, changed));
    },

    async Patch({ patch = '', resourceVersion, dryRun = false, ...request }, { peer, signal }) {
      const target = targetOf(request);
      authorizeKind(peer, 'write', target.kind);
      const parsed = parsePatch(patch);
      const inPatch = (parsed.metadata as { resourceVersion?: string } | null | undefined)?.resourceVersion;
      const options = { resourceVersion: resourceVersion || inPatch, dryRun };
      const call = { ...dependencies, signal };
      const changed = await changeObject(call, target, options, (old) => patchedObject(old, parsed));
      return response(changed, await overlapWarnings(dependencies, changed));
    },

    async Scale({ replicas, currentReplicas, ...request }, { peer, signal }) {
      const target = targetOf(request);
      authorizeKind(peer, 'write', target.kind);
      if (replicas === undefined) throw new GantryError('invalidArgument', 'replicas: required');
      const warnings: string[] = [];
      const call = { ...dependencies, signal };
      const object = await changeObject(call, target, { dryRun: false }, (old) => {
        warnings.splice(0, warnings.length, ...scaleWarnings(old));
        return scaled(old, replicas, currentReplicas);
      });
      return response(object, warnings);
    },
  };
}

export function response(object: KubeObject, warnings: readonly string[] = []): ObjectResponse {
  return { object: toEnvelope(object), ...(warnings.length > 0 && { warnings: [...warnings] }) };
}

/** Only Apply keeps field sets; those that came with an exported object are not this one's. */
function withoutFieldSets({ annotations, ...metadata }: ObjectMeta): ObjectMeta {
  const kept = Object.entries(annotations ?? {}).filter(([key]) => !isFieldsAnnotation(key));
  return kept.length > 0 ? { ...metadata, annotations: Object.fromEntries(kept) } : metadata;
}

function parsePatch(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const message = `patch: not JSON (${(cause as Error).message}); example: {"spec":{"replicas":3}}`;
    throw new GantryError('invalidArgument', message, { cause });
  }
  if (depthOf(value) > deepestPatch) {
    throw new GantryError('invalidArgument', `patch: nested deeper than ${deepestPatch} levels, as no object is`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new GantryError('invalidArgument', 'patch: must be a JSON object; example: {"spec":{"replicas":3}}');
}

/** Level by level: what is nested too deep would overflow the stack of whoever descends into it. */
function depthOf(value: unknown): number {
  const isNested = (part: unknown): part is object => typeof part === 'object' && part !== null;
  let depth = 0;
  for (let level = [value].filter(isNested); level.length > 0; depth += 1) {
    if (depth > deepestPatch) break;
    level = level.flatMap((part) => Object.values(part)).filter(isNested);
  }
  return depth;
}

function patchedObject(old: KubeObject, patch: Record<string, unknown>): KubeObject {
  // Status is not a client's to write; leaving it out here keeps what is stored.
  const { status: _ignored, ...wanted } = patch;
  const { object, problems } = fromManifest(mergePatched(toManifest(old), wanted));
  if (object) return object;
  throw problemsError(nameOf(old), problems);
}

function scaled(old: KubeObject, replicas: number, currentReplicas: number | undefined): KubeObject {
  if (old.kind !== 'Deployment' && old.kind !== 'ReplicaSet' && old.kind !== 'StatefulSet') {
    const cure = 'scale a Deployment, a ReplicaSet or a StatefulSet';
    throw new GantryError('invalidArgument', `a ${old.kind} has no replicas; ${cure}`);
  }
  const now = old.spec.replicas ?? 1;
  if (currentReplicas !== undefined && currentReplicas !== now) {
    const message = `${nameOf(old)} has ${now} replicas, not ${currentReplicas}; nothing was changed`;
    throw new GantryError('failedPrecondition', message);
  }
  return { ...old, spec: { ...old.spec, replicas } } as KubeObject;
}

function scaleWarnings(object: KubeObject): string[] {
  const owner = controllerOf(object);
  if (!owner) return [];
  return [`${nameOf(object)} belongs to ${owner.kind} ${owner.name}, which sets its replicas: scale that instead`];
}
