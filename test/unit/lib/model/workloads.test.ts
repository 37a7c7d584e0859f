/** Rules and defaults of the workloads beside Deployments, one line a case. */
import { describe, expect, it } from 'vitest';
import { checkManifest } from '../../../../lib/model/check.ts';
import { withDefaults } from '../../../../lib/model/defaults.ts';
import { problemLine } from '../../../../lib/model/manifest.ts';
import { validate } from '../../../../lib/model/validation.ts';
import type { DaemonSet, Job, KubeObject } from '../../../../proto/gen/types.ts';

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

const job = (spec: object = {}, podSpec: object = { restartPolicy: 'Never' }, name = 'j'): object => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name },
  spec: { template: template(podSpec), ...spec },
});
const rule = (parts: object): object =>
  job({ podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [1], ...parts } }] } });
const firstRule = 'spec.podFailurePolicy.rules[0]';

const cronJob = (spec: object = {}, name = 'c'): object => ({
  apiVersion: 'batch/v1',
  kind: 'CronJob',
  metadata: { name },
  spec: {
    schedule: '0 3 * * *',
    jobTemplate: { spec: { template: template({ restartPolicy: 'OnFailure' }) } },
    ...spec,
  },
});

const statefulSet = (spec: object = {}, metadata: object = {}): object => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 's', ...metadata },
  spec: { serviceName: 's', selector: { matchLabels: { app: 'x' } }, template: template(), ...spec },
});
const stopAfter = (seconds: string, value = 'stop-after'): object =>
  statefulSet({}, { annotations: { 'gantry.dev/fencing': value, 'gantry.dev/stop-after-seconds': seconds } });
const fencing = (value: string): object => statefulSet({}, { annotations: { 'gantry.dev/fencing': value } });

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
  [job({}, {}), line('spec.template.spec.restartPolicy', 'OnFailure or Never')],
  [job({ completions: -1 }), line('spec.completions', 'at least 0')],
  [job({ activeDeadlineSeconds: 0 }), line('spec.activeDeadlineSeconds', 'at least 1')],
  [job({ completionMode: 'Indexed', parallelism: 2 }), line('spec.completions', 'required with completionMode')],
  [job({ completionMode: 'Indexed', completions: 1_000_000 }), line('spec.completions', 'from 0 to 100000')],
  [job({}, { restartPolicy: 'Never' }, 'x'.repeat(64)), line('metadata.name', 'at most 63')],
  [
    job({ completionMode: 'Indexed', completions: 100 }, { restartPolicy: 'Never' }, 'x'.repeat(62)),
    line('metadata.name', 'too long for the pods'),
  ],
  [job({ selector: { matchLabels: { app: 'x' } } }), unsupported('spec.selector', 'remove it')],
  [job({ manualSelector: true }), unsupported('spec.manualSelector', 'remove it')],
  [job({ backoffLimitPerIndex: 1 }), unsupported('spec.backoffLimitPerIndex', 'use backoffLimit')],
  [job({ podReplacementPolicy: 'Failed' }), unsupported('spec.podReplacementPolicy', 'remove it')],
  [rule({ containerName: 'x' }), line(`${firstRule}.onExitCodes.containerName`, 'it may be c')],
  [rule({ values: [0] }), line(`${firstRule}.onExitCodes.values[0]`, '0 is success')],
  [rule({ values: [256] }), line(`${firstRule}.onExitCodes.values[0]`, 'from 0 to 255')],
  [
    job({ podFailurePolicy: { rules: [{ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget' }] }] } }),
    unsupported(`${firstRule}.onPodConditions`, 'remove the rule'),
    line(`${firstRule}.onExitCodes`, 'required'),
  ],
  [cronJob({ schedule: '0 0 30 2 *' }), line('spec.schedule', 'never fires')],
  [cronJob({ timeZone: 'Mars/Olympus' }), line('spec.timeZone', 'is not a time zone')],
  [cronJob({ startingDeadlineSeconds: -1 }), line('spec.startingDeadlineSeconds', 'at least 0')],
  [cronJob({ concurrencyPolicy: 'Wait' }), line('spec.concurrencyPolicy', 'Allow, Forbid, Replace')],
  [cronJob({}, 'x'.repeat(53)), line('metadata.name', 'at most 52')],
  [
    cronJob({ jobTemplate: { spec: { template: template() } } }),
    line('spec.jobTemplate.spec.template.spec.restartPolicy', 'OnFailure or Never'),
  ],
  [
    statefulSet({ persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete' } }),
    unsupported('spec.persistentVolumeClaimRetentionPolicy', 'always stay'),
  ],
  [statefulSet({ replicas: -1 }), line('spec.replicas', 'at least 0')],
  [statefulSet({ ordinals: { start: -1 } }), line('spec.ordinals.start', 'at least 0')],
  [
    statefulSet({ updateStrategy: { rollingUpdate: { partition: -1 } } }),
    line('spec.updateStrategy.rollingUpdate.partition', 'at least 0'),
  ],
  [
    statefulSet({ updateStrategy: { rollingUpdate: { maxUnavailable: 2 } } }),
    unsupported('spec.updateStrategy.rollingUpdate.maxUnavailable', 'remove it'),
  ],
  [statefulSet({ template: template({ hostname: 'h' }) }), line('spec.template.spec.hostname', 'remove it')],
  [statefulSet({ template: template({ subdomain: 'd' }) }), line('spec.template.spec.subdomain', 'serviceName')],
  [statefulSet({}, { name: 'x'.repeat(62) }), line('metadata.name', 'is too long')],
  [statefulSet({}, { name: 'a.b' }), line('metadata.name', 'host names begin with it')],
  [stopAfter('4'), line('metadata.annotations["gantry.dev/stop-after-seconds"]', 'whole seconds from 5 to 3600')],
  [stopAfter('10s'), line('metadata.annotations["gantry.dev/stop-after-seconds"]', 'whole seconds from 5 to 3600')],
  [stopAfter('20', 'strict'), line('metadata.annotations["gantry.dev/stop-after-seconds"]', 'counts only with')],
  [fencing('none'), line('metadata.annotations["gantry.dev/fencing"]', 'use strict')],
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
    [job()],
    [job({ parallelism: 3, suspend: true, ttlSecondsAfterFinished: 0, podReplacementPolicy: 'TerminatingOrFailed' })],
    [job({ completionMode: 'Indexed', completions: 3 }, { restartPolicy: 'OnFailure' })],
    [job({ selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': 'u' } }, manualSelector: false })],
    [rule({ containerName: 'c', operator: 'NotIn' })],
    [cronJob()],
    [statefulSet({ persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain' } })],
    [statefulSet({ podManagementPolicy: 'Parallel', updateStrategy: { type: 'OnDelete' } })],
    [fencing('strict')],
    [fencing('stop-after')],
    [stopAfter('5')],
    [cronJob({ timeZone: 'Europe/Berlin', suspend: true, startingDeadlineSeconds: 0 })],
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

  it.each([
    [{}, { parallelism: 1, completions: 1, backoffLimit: 6, completionMode: 'NonIndexed' }],
    [{ completions: 4 }, { parallelism: 1, completions: 4 }],
  ])('of a Job with %j', (spec, expected) => {
    expect(withDefaults(checkManifest(job(spec)).object as Job).spec).toMatchObject(expected);
  });

  it('of a Job with parallelism alone: its pods share a queue', () => {
    const { spec } = withDefaults(checkManifest(job({ parallelism: 4 })).object as Job);
    expect(spec).toMatchObject({ parallelism: 4 });
    expect(spec.completions).toBeUndefined();
  });
});

describe('changes', () => {
  const changed = (before: object, after: object): string[] => {
    const [old, object] = [before, after].map((value) => withDefaults(checkManifest(value).object as KubeObject));
    return validate(object!, old).map(problemLine);
  };

  it.each([
    [job({ completions: 2 }), job({ completions: 3 }), line('spec.completions', 'never changes')],
    [statefulSet(), statefulSet({ serviceName: 'other' }), line('spec.serviceName', 'never changes')],
    [job(), job({}, { restartPolicy: 'OnFailure' }), line('spec.template', 'never changes')],
    [job(), job({ completionMode: 'Indexed', completions: 1 }), line('spec.completionMode', 'never changes')],
    [
      daemonSet(),
      daemonSet({ selector: { matchExpressions: [{ key: 'app', operator: 'Exists' }] } }),
      line('spec.selector', 'never changes'),
    ],
  ])('of %j to %j', (before, after, expected) => {
    expect(changed(before, after)[0]).toMatch(expected);
  });

  it.each([
    [job(), job({ completions: 1, parallelism: 5, suspend: true, backoffLimit: 1, activeDeadlineSeconds: 9 })],
    [
      job({ completionMode: 'Indexed', completions: 2, parallelism: 2 }),
      job({ completionMode: 'Indexed', completions: 4, parallelism: 4 }),
    ],
  ])('may be %j to %j', (before, after) => {
    expect(changed(before, after)).toEqual([]);
  });
});
