/** Rules and defaults of the workloads beside Deployments, one line a case. */
import { describe, expect, it } from 'vitest';
import { checkManifest } from '../../../../lib/model/check.ts';
import { withDefaults } from '../../../../lib/model/defaults.ts';
import { problemLine } from '../../../../lib/model/manifest.ts';
import type { DaemonSet } from '../../../../proto/gen/types.ts';

const linesOf = (value: object): string[] => checkManifest(value).problems.map(problemLine);
const line = (path: string, text: string): RegExp => new RegExp(`^${path.replaceAll(/[.[\]]/g, '\\$&')}: .*${text}`);
const unsupported = (path: string, text: string): RegExp =>
  new RegExp(`^not supported: ${path.replaceAll(/[.[\]]/g, '\\$&')}, because .*${text}`);

const template = (podSpec: object = {}, labels: object = { app: 'x' }): object => ({
  metadata: { labels },
  spec: { containers: [{ name: 'c', image: 'i:1' }], ...podSpec },
});
const daemonSet = (spec: object = {}): object => ({
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'd' },
  spec: { selector: { matchLabels: { app: 'x' } }, template: template(), ...spec },
});
const rolling = (rollingUpdate: object): object => daemonSet({ updateStrategy: { rollingUpdate } });

const refused: readonly (readonly [object, ...RegExp[]])[] = [
  [daemonSet({ template: template({}, { app: 'y' }) }), line('spec.template.metadata.labels', 'does not match')],
  [daemonSet({ replicas: 2 }), line('spec.replicas', 'unknown field')],
  [daemonSet({ minReadySeconds: -1 }), line('spec.minReadySeconds', 'at least 0')],
  [daemonSet({ template: template({ restartPolicy: 'Never' }) }), line('spec.template.spec.restartPolicy', 'always')],
  [rolling({ maxUnavailable: 0 }), line('spec.updateStrategy.rollingUpdate.maxUnavailable', 'more than 0')],
  [rolling({ maxUnavailable: '150%' }), line('spec.updateStrategy.rollingUpdate.maxUnavailable', 'more than 100%')],
  [rolling({ maxSurge: 1 }), unsupported('spec.updateStrategy.rollingUpdate.maxSurge', 'use maxUnavailable')],
  [
    daemonSet({ updateStrategy: { type: 'OnDelete', rollingUpdate: { maxUnavailable: 1 } } }),
    line('spec.updateStrategy.rollingUpdate', 'OnDelete'),
  ],
  [
    { apiVersion: 'apps/v1', kind: 'ControllerRevision', metadata: { name: 'r' }, revision: 1 },
    line('kind', 'made by its workload'),
  ],
];

describe('refused', () => {
  it.each(refused.map(([value, ...expected]) => [JSON.stringify(value).slice(0, 200), value, expected] as const))(
    '%s',
    (_name, value, expected) => {
      const lines = linesOf(value);
      expect(lines).toHaveLength(expected.length);
      for (const [index, pattern] of expected.entries()) expect(lines[index]).toMatch(pattern);
    },
  );
});

describe('accepted', () => {
  it.each([
    [daemonSet()],
    [rolling({ maxUnavailable: '10%', maxSurge: 0 })],
    [daemonSet({ updateStrategy: { type: 'OnDelete' } })],
  ])('%j', (value) => {
    expect(linesOf(value)).toEqual([]);
  });
});

describe('defaults', () => {
  it('of a DaemonSet', () => {
    const { spec } = withDefaults(checkManifest(daemonSet()).object as DaemonSet);
    expect(spec.updateStrategy).toEqual({ type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '1' } });
    expect(spec.revisionHistoryLimit).toBe(10);
    expect(spec.template.spec.restartPolicy).toBe('Always');
  });
});
