/** What workloads say about the pods that they make, and that they keep to those. */
import { afterEach, expect, it } from 'vitest';
import { controllerOf } from '../../../../lib/model/object.ts';
import { isPodActive } from '../../../../lib/model/pods.ts';
import type { Job, Pod } from '../../../../proto/gen/types.ts';
import { type Cluster, deployment, startCluster } from './cluster.ts';

let cluster: Cluster;
afterEach(async () => {
  await cluster.stop();
  expect(cluster.problems).toEqual([]);
});

const said = (reason: string, kind: string): string[] =>
  cluster.state
    .list('Event')
    .filter((event) => event.reason === reason && event.involvedObject?.kind === kind)
    .map(({ message = '' }) => message);
const names = (): string[] => cluster.pods().map(({ metadata }) => metadata.name);

it('SuccessfulCreate names the pods, of many the first', async () => {
  cluster = await startCluster();
  await cluster.create(deployment('one', { replicas: 1 }), deployment('many', { replicas: 12 }));
  await cluster.until(() => said('SuccessfulCreate', 'ReplicaSet').length === 2, 'the events');
  const [one, many] = said('SuccessfulCreate', 'ReplicaSet').sort((a, b) => a.length - b.length);
  expect(one).toBe(`Created pod: ${names().find((name) => name.startsWith('one-'))}`);
  expect(many).toMatch(/^Created 12 pods: (many-\w+-\w{5}, ){4}many-\w+-\w{5} and 7 more$/);
  for (const name of many!.match(/many-\w+-\w{5}/g)!) expect(names()).toContain(name);

  const { template } = deployment('work').spec;
  const job: Job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'work', namespace: 'default' },
    spec: { parallelism: 2, completions: 2, template: { spec: { ...template.spec, restartPolicy: 'Never' } } },
  };
  await cluster.create(job);
  await cluster.until(() => said('SuccessfulCreate', 'Job').length === 1, 'the event');
  expect(said('SuccessfulCreate', 'Job')[0]).toMatch(/^Created 2 pods: work-\w{5}, work-\w{5}$/);
});

it('workloads whose selectors overlap keep to the pods that they made', async () => {
  cluster = await startCluster();
  const alike = (name: string, replicas: number) => {
    const object = deployment('shared', { replicas });
    return { ...object, metadata: { ...object.metadata, name } };
  };
  const [first, second] = [alike('first', 3), alike('second', 2)];
  await cluster.create(first, second);
  const of = (name: string): Pod[] =>
    cluster.pods().filter((pod) => isPodActive(pod) && controllerOf(pod)?.name.startsWith(`${name}-`));
  await cluster.until(() => of('first').length === 3 && of('second').length === 2, 'both');
  const before = of('first').map(({ metadata }) => metadata.uid);
  await cluster.edit('Deployment', 'second', (object) => ({ ...object, spec: { ...object.spec, replicas: 0 } }));
  await cluster.until(() => of('second').length === 0, 'one of them gone');
  await cluster.clock.advance(10_000);
  expect(of('first').map(({ metadata }) => metadata.uid)).toEqual(before);
  await cluster.remove('Deployment', 'second');
  await cluster.clock.advance(10_000);
  expect(cluster.pods()).toHaveLength(3);
});
