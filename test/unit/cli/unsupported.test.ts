/** What kubectl has and ctl does not: a plain answer, and the way there is. */
import { beforeAll, expect, it } from 'vitest';
import { type Cli, createCli } from './harness.ts';

let cli: Cli;
beforeAll(async () => {
  cli = await createCli();
});

it.each([
  ['apply -k dir', 'ctl apply -k; use kustomize itself: `kustomize build DIR | ctl apply -f -`'],
  ['apply --kustomize=dir', 'ctl apply --kustomize; use kustomize itself'],
  ['apply -f x.yaml --force', 'ctl apply --force; objects are never deleted to be made anew'],
  ['apply -f x.yaml --prune -l app=web', 'ctl apply --prune; delete what is no longer wanted'],
  ['apply view-last-applied deploy/web', 'ctl apply view-last-applied; which fields were applied is kept'],
  ['get --raw /healthz', 'ctl get --raw; the API is gRPC'],
  ['get pods --template {{.}}', 'ctl get --template; use -o jsonpath=... or -o json'],
  ['--context prod get pods', 'ctl get --context; a file holds one cluster and one user'],
  ['get pods --context=prod', 'ctl get --context; a file holds one cluster and one user'],
  ['get pods -v 8', 'ctl get -v; errors say all that is known'],
  ['rollout undo deploy/web --as=root', 'ctl rollout undo --as; who you are stands in the file'],
  ['rollout status -l app=web', 'ctl rollout status -l; name the workloads'],
  ['simulate -f x.yaml', 'ctl simulate -f; what would be applied is named with --apply FILE'],
  ['set resources deploy/web --limits=cpu=1', 'ctl set resources; change the pod template'],
  ['create ingress web', 'ctl create ingress; there is none'],
  ['create serviceaccount web --dry-run=client', 'ctl create serviceaccount; pods have no accounts'],
  ['create gateway web', 'ctl create gateway; write a manifest of it, then `ctl create -f FILE`'],
  ['cluster-info dump', 'ctl cluster-info dump; use `ctl get all -A -o yaml`'],
  ['auth can-i get pods', 'ctl auth; who you are stands in your certificate'],
  ['edit deploy web --flag', 'ctl edit; write it out'],
  ['attach web -it', 'ctl attach; use `ctl logs -f POD`'],
  ['cp web:/a b', 'ctl cp; use `ctl exec`'],
  ['port-forward web 80', 'ctl port-forward; expose the pods'],
  ['diff -f x.yaml', 'ctl diff; use `ctl apply -f FILE --dry-run=server -o yaml`'],
  ['kustomize dir', 'ctl kustomize; use kustomize itself'],
])('%s', async (line, answer) => {
  const { out, err, code } = await cli.run(line);
  expect({ out, code }).toEqual({ out: '', code: 1 });
  expect(err).toContain(`error: not supported: ${answer}`);
  expect(err).not.toContain('unknown');
});

it.each([
  ['get pods --colour', "error: unknown option '--colour'"],
  ['set colour deploy/web', "error: unknown command 'colour'"],
  ['describe', 'You must provide one or more resources'],
  ['logs --tail', "error: option '--tail <lines>' argument missing"],
])('%s: what nobody has is a mistake as ever', async (line, complaint) => {
  const { err, code } = await cli.run(line);
  expect(code).toBe(1);
  expect(err).toContain(complaint);
});

it('apply --server-side is what apply does anyway', async () => {
  const manifest = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { b: 'c' } };
  const result = await cli.run('apply --server-side -f -', { input: JSON.stringify(manifest) });
  expect(result).toEqual({ out: 'configmap/a created\n', err: '', code: 0 });
});
