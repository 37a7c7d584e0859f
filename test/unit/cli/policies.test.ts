/** ctl and quotas, limits, and many objects at once. */
import { describe, expect, it } from 'vitest';
import { runsOf } from '../../../cli/commands/apply.ts';
import { fieldSetsOf } from '../../../lib/model/apply.ts';
import type { ConfigMap, KubeObject } from '../../../proto/gen/types.ts';
import { createCli } from './harness.ts';

const range = {
  apiVersion: 'v1',
  kind: 'LimitRange',
  metadata: { name: 'bounds' },
  spec: {
    limits: [{ type: 'Container', max: { cpu: '1' }, min: { memory: '64Mi' }, maxLimitRequestRatio: { cpu: 4 } }],
  },
};

describe('ctl and quotas', () => {
  it('makes one, lists it and describes it as kubectl does', async () => {
    const cli = await createCli();
    const made = await cli.run('create quota team --hard=pods=2,limits.cpu=2,requests.cpu=1 --scopes=NotTerminating');
    expect(made.out).toBe('resourcequota/team created\n');
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } };
    const resources = { requests: { cpu: '250m' }, limits: { cpu: '500m' } };
    const spec = { containers: [{ name: 'main', image: 'i:1', resources }] };
    await cli.run('apply -f -', { input: JSON.stringify({ ...pod, spec }) });
    expect((await cli.run('get quota')).out).toMatch(
      /^NAME +REQUEST +LIMIT +AGE\nteam +pods: 1\/2, requests\.cpu: 250m\/1 +limits\.cpu: 500m\/2 +\d+s\n$/,
    );
    const { out } = await cli.run('describe quota team');
    expect(out).toMatch(/^Name: +team\nNamespace: +default\nScopes: +NotTerminating\n \* Matches all pods/);
    expect(out).toMatch(/Resource +Used +Hard\n-+ +-+ +-+\nlimits\.cpu +500m +2\npods +1 +2\nrequests\.cpu +250m +1\n/);
    expect((await cli.run('describe namespace default')).out).toContain('requests.cpu');
  });

  it('says what a flag should have been', async () => {
    const cli = await createCli();
    expect((await cli.run('create quota team --hard=pods')).err).toContain('--hard: "pods" is not RESOURCE=AMOUNT');
    const wrong = await cli.run('create quota team --hard=pod=1');
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('did you mean pods?')]);
  });

  it('shows limits', async () => {
    const cli = await createCli();
    await cli.run('apply -f -', { input: JSON.stringify(range) });
    expect((await cli.run('get limits')).out).toMatch(/^NAME +CREATED AT\nbounds +\d{4}-.*Z\n$/);
    const { out } = await cli.run('describe limits bounds');
    expect(out).toMatch(/Type +Resource +Min +Max +Default Request +Default Limit +Max Limit\/Request Ratio\n/);
    expect(out).toMatch(/Container +memory +64Mi +- +64Mi +- +-\n/);
    expect(out).toMatch(/Container +cpu +- +1 +1 +1 +4\n/);
  });

  it('applies a quota before what must fit into it', async () => {
    const cli = await createCli();
    const documents = [
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec: { containers: [{ name: 'm', image: 'i:1' }] } },
      { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'none' }, spec: { hard: { pods: '0' } } },
    ];
    const input = documents.map((one) => JSON.stringify(one)).join('\n---\n');
    const { out, err, code } = await cli.run('apply -f -', { input });
    expect([code, out]).toEqual([1, 'resourcequota/none created\n']);
    expect(err).toContain('Error from server (Forbidden): pods "a" is forbidden: exceeded quota: none');
  });
});

describe('ctl apply of many objects', () => {
  const named = (kind: string, name: string): KubeObject => ({ kind, metadata: { name } }) as KubeObject;
  const text = (runs: ReturnType<typeof runsOf>): string =>
    runs.map((run) => run.map(({ metadata }) => metadata.name).join('')).join(' ');

  it('sends those of one kind together, and none of them twice', () => {
    const objects = [...'abc'].map((name) => named('ConfigMap', name));
    expect(text(runsOf([...objects, named('Service', 'd'), named('Service', 'e')]))).toBe('abc de');
    expect(text(runsOf([...objects, named('ConfigMap', 'b'), named('ConfigMap', 'a')]))).toBe('abc ba');
    expect(text(runsOf([named('Pod', 'a'), named('Service', 'b'), named('Pod', 'c')]))).toBe('a b c');
  });

  it('tells them in their order, and goes on after one that is refused', async () => {
    const cli = await createCli();
    const input = Array.from({ length: 60 }, (_, index) =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: `c${index}`, ...(index === 30 && { namespace: 'nowhere' }) },
      }),
    ).join('\n---\n');
    const { out, err, code } = await cli.run('apply -f -', { input });
    const expected = Array.from({ length: 60 }, (_, index) => `configmap/c${index} created`);
    expect(out.trimEnd().split('\n')).toEqual(expected.toSpliced(30, 1));
    expect([code, err]).toEqual([1, expect.stringContaining('namespaces "nowhere" not found')]);
  });
});

describe('ctl apply of what somebody else applied', () => {
  it('is refused where the values differ, and takes over only when told to', async () => {
    const cli = await createCli();
    const input = (data: object): { input: string } => ({
      input: JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'shared' }, data }),
    });
    await cli.run('apply -f - --field-manager pipeline', input({ version: '1', mode: 'x' }));
    expect((await cli.run('apply -f -', input({ version: '1' }))).code).toBe(0);
    const refused = await cli.run('apply -f -', input({ version: '2' }));
    expect([refused.code, refused.err]).toEqual([
      1,
      expect.stringMatching(
        /^Error from server \(Conflict\): ConfigMap "shared": 1 conflict .*data\.version: applied by "pipeline"; leave the field out/,
      ),
    ]);
    expect((await cli.run('apply -f - --force-conflicts', input({ version: '2' }))).out).toBe(
      'configmap/shared configured\n',
    );
    const shared = await cli.get<ConfigMap>('ConfigMap', 'shared');
    expect(shared.data).toEqual({ version: '2', mode: 'x' });
    expect(fieldSetsOf(shared).get('pipeline')).toEqual({ metadata: {}, data: { mode: 1 } });
  });
});
