/** A manifest checked as admission will: the schema's and the kinds' rules together, so that nothing is found late. */
import type { KubeObject } from '../../proto/gen/types.ts';
import { withDefaults } from './defaults.ts';
import { type ManifestResult, readManifest } from './manifest.ts';
import { sizeProblems, validate } from './validation.ts';

/** For a manifest about to be created or applied. The object comes out as it was given, without defaults. */
export function checkManifest(value: unknown): ManifestResult {
  const { partial, problems } = readManifest(value);
  if (!partial) return { problems };
  const complete: KubeObject = withDefaults(partial);
  // Whether a pod may name its node depends on whether it is there already: only the API can tell.
  const rules = validate(complete).filter(({ path }) => complete.kind !== 'Pod' || path !== 'spec.nodeName');
  const all = [...problems, ...rules];
  if (all.length === 0) all.push(...sizeProblems(complete));
  return all.length === 0 ? { object: partial, problems: [] } : { problems: all };
}
