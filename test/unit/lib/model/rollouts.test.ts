import { describe, expect, it } from 'vitest';
import { checkManifest } from '../../../../lib/model/check.ts';
import { problemLine } from '../../../../lib/model/manifest.ts';
import { copyNamesOf } from '../../../../lib/model/rollouts.ts';

type Annotations = Record<string, string>;
const problemsOf = (kind: string, annotations: Annotations, ofTemplate: Annotations = {}): string[] => {
  const labels = { app: 'x' };
  const template = {
    metadata: { labels, annotations: ofTemplate },
    spec: { containers: [{ name: 'c', image: 'i:1' }] },
  };
  const spec = { selector: { matchLabels: labels }, template };
  const parts = kind === 'ConfigMap' ? { apiVersion: 'v1' } : { apiVersion: 'apps/v1', spec };
  return checkManifest({ ...parts, kind, metadata: { name: 'x', annotations } }).problems.map(problemLine);
};
const auto = 'gantry.dev/auto-rollback';
const config = 'gantry.dev/rollout-on-config-change';

describe('the annotations of rollouts', () => {
  it.each([
    ['Deployment', { [auto]: 'true', [config]: 'false' }],
    ['StatefulSet', { [config]: 'true', [auto]: 'false' }],
    ['DaemonSet', { [config]: 'true' }],
    ['ConfigMap', { [auto]: 'true', [config]: 'true' }], // has no pods: annotated together with everything else
  ])('are accepted where they do something: %s', (kind, annotations) => {
    expect(problemsOf(kind, annotations)).toEqual([]);
  });

  it.each([
    ['Deployment', { [auto]: 'yes' }, /auto-rollback.*"yes" is neither "true" nor "false"/],
    ['Deployment', { [config]: '' }, /rollout-on-config-change.*neither/],
    ['StatefulSet', { [auto]: 'true' }, /does nothing for a StatefulSet, only for Deployment; remove it/],
    ['ReplicaSet', { [config]: 'true' }, /only for Deployment, StatefulSet, DaemonSet; remove it/],
  ])('are refused otherwise: %s %o', (kind, annotations, message) => {
    expect(problemsOf(kind, annotations)).toEqual([expect.stringMatching(message)]);
  });

  it.each([
    ['Deployment', { [auto]: 'true' }, /^spec\.template\..*does nothing for pods; move it to metadata\.annotations$/],
    ['StatefulSet', { [auto]: 'yes' }, /^spec\.template\..*does nothing for pods; remove it$/],
  ])('are refused on a template: %s %o', (kind, annotations, message) => {
    expect(problemsOf(kind, {}, annotations)).toEqual([expect.stringMatching(message)]);
    expect(problemsOf(kind, {}, { [auto]: 'false' })).toEqual([]);
  });

  it('are not passed over when they are misspelt', () => {
    const refused = [expect.stringMatching(/unknown annotation; did you mean gantry\.dev\/auto-rollback\?$/)];
    expect(problemsOf('Deployment', { 'gantry.dev/auto-rolback': 'true' })).toEqual(refused);
    const others = ['undo-to', 'configuration-copies', 'copy-of', 'counted', 'unreadable', 'of-tomorrow'];
    expect(problemsOf('Deployment', Object.fromEntries(others.map((name) => [`gantry.dev/${name}`, 'x'])))).toEqual([]);
  });

  it('are looked at also when there is nothing else', () => {
    const bare = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'x', annotations: { [auto]: 'yes' } } };
    expect(checkManifest(bare).problems.map(problemLine)).toContainEqual(expect.stringMatching(/"yes" is neither/));
  });

  it('of a revision are read as far as they can be', () => {
    const revision = (text: string) => ({
      ...({ apiVersion: 'apps/v1', kind: 'ControllerRevision' } as const),
      metadata: { name: 'x', annotations: { 'gantry.dev/configuration-copies': text } },
    });
    expect(copyNamesOf(revision('{"ConfigMap/a":"x-a-1"}'))).toEqual({ 'ConfigMap/a': 'x-a-1' });
    for (const text of ['{', 'null', '7']) expect(copyNamesOf(revision(text))).toEqual({});
  });
});
