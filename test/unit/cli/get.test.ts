/** `ctl get`, `apply`, `create` and friends against the API in process. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { ConfigMap, Deployment, Pod, Secret, Service } from '../../../proto/gen/types.ts';
import { configMapManifest, deploymentManifest, manifest, podManifest } from '../control-plane/api/harness.ts';
import { createCli, until } from './harness.ts';

const folders: string[] = [];

function folder(files: Readonly<Record<string, string | Uint8Array>>): string {
  const path = mkdtempSync(join(tmpdir(), 'ctl-test-'));
  folders.push(path);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

afterEach(() => {
  for (const path of folders.splice(0)) rmSync(path, { recursive: true });
});

describe('ctl get', () => {
  it('says when there is nothing, on standard error, and succeeds', async () => {
    const cli = await createCli();
    expect(await cli.run('get pods')).toEqual({ out: '', err: 'No resources found in default namespace.\n', code: 0 });
    expect((await cli.run('get pods -A')).err).toBe('No resources found\n');
    expect((await cli.run('get nodes')).err).toBe('No resources found\n');
  });

  it('prints one object as itself and several as a List', async () => {
    const cli = await createCli();
    await cli.create(manifest(configMapManifest('a')));
    await cli.create(manifest(configMapManifest('b')));
    const one = JSON.parse((await cli.run('get cm a -o json')).out);
    expect(one).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { a: '1' } });
    const list = JSON.parse((await cli.run('get cm -o json')).out);
    expect(list).toMatchObject({ apiVersion: 'v1', kind: 'List', metadata: { resourceVersion: '' } });
    expect(list.items.map((item: ConfigMap) => item.metadata.name)).toEqual(['a', 'b']);
    expect((await cli.run('get cm -o yaml')).out).toMatch(/^apiVersion: v1\nitems:\n {2}- apiVersion: v1\n/);
    expect((await cli.run('get cm -o name')).out).toBe('configmap/a\nconfigmap/b\n');
  });

  it('prints what a JSONPath finds, one object being itself', async () => {
    const cli = await createCli();
    await cli.create(manifest(podManifest('web-10')));
    await cli.create(manifest(podManifest('web-2')));
    expect((await cli.run('get pod web-2 -o jsonpath={.metadata.name}')).out).toBe('web-2');
    expect((await cli.run('get pods -o jsonpath={.items[*].metadata.name}')).out).toBe('web-10 web-2');
    expect((await cli.run('get pods -o custom-columns=POD:.metadata.name,NODE:.spec.nodeName')).out).toBe(
      'POD      NODE\nweb-10   <none>\nweb-2    <none>\n',
    );
    expect((await cli.run('get pods -o name --sort-by=.metadata.name')).out).toBe('pod/web-2\npod/web-10\n');
    expect((await cli.run('get pods --sort-by={.metadata.nope}')).err).toContain(
      'none of the objects has such a field',
    );
  });

  it('gives labels columns of their own', async () => {
    const cli = await createCli();
    const pod = podManifest('web') as { metadata: object };
    await cli.create(manifest({ ...pod, metadata: { ...pod.metadata, labels: { 'example.org/tier': 'front' } } }));
    expect((await cli.run('get pods -L example.org/tier,app')).out).toMatch(/AGE +TIER +APP\nweb .* front$/m);
  });

  it('shows several kinds, each with its own table', async () => {
    const cli = await createCli();
    await cli.create(manifest(podManifest('web')));
    await cli.create(manifest(deploymentManifest('web')));
    const { out } = await cli.run('get all');
    expect(out).toMatch(/^NAME +READY .*\npod\/web .*\n\nNAME +READY +UP-TO-DATE.*\ndeployment\.apps\/web .*\n$/);
    await cli.create(manifest(configMapManifest('a')));
    expect((await cli.run('get all,pods,cm -o name')).out).toBe('pod/web\ndeployment.apps/web\nconfigmap/a\n');
  });

  it('tells what is not there, and what is wrong', async () => {
    const cli = await createCli();
    expect(await cli.run('get pod nope')).toEqual({
      out: '',
      err: 'Error from server (NotFound): pods "nope" not found in namespace "default"\n',
      code: 1,
    });
    expect(await cli.run('get pod nope --ignore-not-found')).toEqual({ out: '', err: '', code: 0 });
    expect((await cli.run('get pods -o table')).err).toBe(
      'error: unknown output format "table"; use one of wide, json, yaml, name, with ctl get also jsonpath=TEMPLATE and custom-columns=HEADER:PATH\n',
    );
    expect((await cli.run('get pods -o jsonpath={.x')).err).toMatch(
      /^error: cannot read the JSONPath \{\.x: .*counterpart/,
    );
    expect((await cli.run('get pods -o go-template={{.x}}')).err).toBe(
      'error: not supported: -o go-template; use -o jsonpath=... or -o json\n',
    );
    expect((await cli.run('get pods -o custom-columns=NAME')).err).toContain('"NAME" is not HEADER:PATH');
    expect((await cli.run('get pods -l (')).err).toContain('label selector: cannot read');
    expect((await cli.run('get widgets')).code).toBe(1);
  });

  it('watches: what is there, then every change, until Ctrl-C', async () => {
    const cli = await createCli();
    await cli.create(manifest(podManifest('a')));
    const running = cli.run('get pods -w -o name');
    await until(() => running.out() !== '');
    await cli.create(manifest(podManifest('b')));
    await until(() => running.out().includes('pod/b'));
    await cli.run('delete pod a');
    await until(() => running.out().match(/pod\/a/g)?.length === 2);
    running.interrupt();
    expect(await running).toEqual({ out: 'pod/a\npod/b\npod/a\n', err: '', code: 130 });
  });
});

describe('ctl apply and create -f', () => {
  it('says created, configured, unchanged', async () => {
    const cli = await createCli();
    const apply = (value: unknown) => cli.run('apply -f -', { input: JSON.stringify(value) });
    expect((await apply(configMapManifest('a'))).out).toBe('configmap/a created\n');
    expect((await apply(configMapManifest('a'))).out).toBe('configmap/a unchanged\n');
    expect((await apply(configMapManifest('a', { a: '2' }))).out).toBe('configmap/a configured\n');
    expect((await apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'a-' } })).err).toBe(
      'error: ConfigMap with generateName "a-": apply needs a metadata.name; for a new one each time: ctl create -f\n',
    );
    const dry = await cli.run('apply --dry-run=server -f -', { input: JSON.stringify(configMapManifest('b')) });
    expect(dry.out).toBe('configmap/b created (server dry run)\n');
    expect((await cli.run('get cm b')).code).toBe(1);
  });

  it('refuses what exists in create, and goes on with the rest', async () => {
    const cli = await createCli();
    await cli.create(manifest(configMapManifest('a')));
    const input = `${JSON.stringify(configMapManifest('a'))}\n---\n${JSON.stringify(configMapManifest('b'))}`;
    const { out, err, code } = await cli.run('create -f -', { input });
    expect(out).toBe('configmap/b created\n');
    expect(err).toBe('Error from server (AlreadyExists): ConfigMap "a" already exists; use apply to change it\n');
    expect(code).toBe(1);
  });

  it('finds every problem of every file before anything is sent, by file, line and path', async () => {
    const cli = await createCli();
    const path = folder({
      'a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: good\n',
      'b.yaml':
        'apiVersion: v1\nkind: Pod\nmetadata:\n  name: bad\nspec:\n  containers:\n    - name: x\n      imag: y\n',
      'c.yaml': 'a: [1\n',
      'ignored.txt': 'not a manifest',
    });
    const { out, err, code } = await cli.run(['apply', '-f', path]);
    expect(code).toBe(1);
    expect(out).toBe('');
    expect(err).toContain(`${path}/b.yaml:8: Pod bad: spec.containers[0].imag: `);
    expect(err).toMatch(/b\.yaml:7: Pod bad: spec\.containers\[0\]\.image: /);
    expect(err).toMatch(/c\.yaml: .*at line \d+, column \d+/);
    expect((await cli.run('get cm')).err).toContain('No resources found');
  });

  it('takes a namespace before what is in it, whatever the order of the files', async () => {
    const cli = await createCli();
    const inside = { ...(configMapManifest('c', { a: '1' }, { namespace: 'team' }) as object) };
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team' } };
    const input = `${JSON.stringify(inside)}\n---\n${JSON.stringify(namespace)}`;
    expect((await cli.run('apply -f -', { input })).out).toBe('namespace/team created\nconfigmap/c created\n');
  });

  it.each([
    ['apply', 'name the manifests: -f FILE, -f FOLDER or -f -'],
    ['apply -f /nonexistent', "cannot read /nonexistent: ENOENT: no such file or directory, stat '/nonexistent'"],
    [
      'apply -f https://x/y.yaml',
      'not supported: -f https://x/y.yaml; fetch it first: curl -sSL https://x/y.yaml | ctl apply -f -',
    ],
    ['apply -f - --dry-run=maybe', '--dry-run=maybe: use client, server or none'],
  ])('refuses `%s`', async (line, sentence) => {
    const cli = await createCli();
    const input = JSON.stringify(configMapManifest('a'));
    expect(await cli.run(line, { input })).toEqual({ out: '', err: `error: ${sentence}\n`, code: 1 });
  });
});

describe('objects from flags', () => {
  it('create namespace and deployment', async () => {
    const cli = await createCli();
    expect((await cli.run('create namespace team')).out).toBe('namespace/team created\n');
    const line = 'create deployment web --image=reg:5000/team/nginx:1 --replicas=2 --port=80 -n team -- serve -v';
    expect((await cli.run(line)).out).toBe('deployment.apps/web created\n');
    const deployment = await cli.get<Deployment>('Deployment', 'web', 'team');
    expect(deployment.spec).toMatchObject({ replicas: 2, selector: { matchLabels: { app: 'web' } } });
    expect(deployment.spec.template.spec.containers).toMatchObject([
      { name: 'nginx', image: 'reg:5000/team/nginx:1', command: ['serve', '-v'], ports: [{ containerPort: 80 }] },
    ]);
  });

  it('create configmap and secret from values and files', async () => {
    const cli = await createCli();
    const path = folder({ 'a.conf': 'x=1\n', 'b.bin': Uint8Array.of(0xff, 0xfe), 'e.env': '# note\nK=v\n' });
    const files = [`--from-file=${path}/a.conf`, `--from-file=key=${path}/b.bin`, `--from-env-file=${path}/e.env`];
    await cli.run(['create', 'configmap', 'conf', '--from-literal=a=1=2', ...files]);
    const configMap = await cli.get<ConfigMap>('ConfigMap', 'conf');
    expect(configMap.data).toEqual({ a: '1=2', 'a.conf': 'x=1\n', K: 'v' });
    expect(configMap.binaryData).toEqual({ key: '//4=' });
    await cli.run('create secret generic pw --from-literal=password=hunter2');
    expect((await cli.get<Secret>('Secret', 'pw')).data).toEqual({ password: 'aHVudGVyMg==' });
  });

  it('--dry-run=client -o yaml prints a manifest that applies', async () => {
    const cli = await createCli();
    const { out } = await cli.run('create deployment web --image=nginx:1 --dry-run=client -o yaml');
    expect((await cli.run('get deploy')).err).toContain('No resources found');
    expect((await cli.run('apply -f -', { input: out })).out).toBe('deployment.apps/web created\n');
  });

  it('run', async () => {
    const cli = await createCli();
    const line = 'run one --image=busybox:1 --env=A=1 --env=B=2 --restart=Never --port=80 -- echo -n hi';
    expect((await cli.run(line)).out).toBe('pod/one created\n');
    const { metadata, spec } = await cli.get<Pod>('Pod', 'one');
    expect(metadata.labels).toEqual({ run: 'one' });
    expect(spec).toMatchObject({
      restartPolicy: 'Never',
      containers: [
        {
          args: ['echo', '-n', 'hi'],
          env: [
            { name: 'A', value: '1' },
            { name: 'B', value: '2' },
          ],
        },
      ],
    });
    expect((await cli.run('run two --image=busybox:1 --command -- sleep 1')).code).toBe(0);
    expect((await cli.get<Pod>('Pod', 'two')).spec.containers[0]!.command).toEqual(['sleep', '1']);
    expect((await cli.run('run it --image=x -it -- sh')).err).toContain('not supported: run -i, -t and --rm;');
    expect((await cli.run('run bad --image=x --restart=Sometimes')).err).toContain('spec.restartPolicy');
  });

  it('expose', async () => {
    const cli = await createCli();
    await cli.run('create deployment web --image=nginx:1 --port=8080');
    expect((await cli.run('expose deploy/web --port=80 --target-port=http')).out).toBe('service/web exposed\n');
    expect((await cli.get<Service>('Service', 'web')).spec).toMatchObject({
      selector: { app: 'web' },
      ports: [{ port: 80, targetPort: 'http', protocol: 'TCP' }],
    });
    await cli.run('expose deploy web --name=other --type=NodePort');
    const { spec } = await cli.get<Service>('Service', 'other');
    expect(spec.type).toBe('NodePort');
    expect(spec.ports).toMatchObject([{ port: 8080, targetPort: '8080' }]);
    await cli.create(manifest(configMapManifest('c')));
    expect((await cli.run('expose cm/c --port=1')).err).toContain('cannot expose a ConfigMap');
    await cli.create(manifest(podManifest('bare')));
    expect((await cli.run('expose pod bare --port=1')).err).toContain('has no labels to select its pods by');
  });

  it.each([
    ['create deployment web --image=x --replicas=-1', '--replicas=-1: give a whole number, 0 or more'],
    ['create configmap c --from-literal=novalue', 'literal "novalue": write KEY=VALUE'],
    ['create configmap c --from-literal=a=1 --from-literal=a=2', 'cannot add key "a", another key by that name exists'],
    ['create service clusterip x', 'at least one port must be given with --tcp'],
    ['run x --image=y --port=99999', '--port=99999: give a port from 1 to 65535'],
  ])('refuses `%s`', async (line, sentence) => {
    const cli = await createCli();
    expect(await cli.run(line)).toEqual({ out: '', err: `error: ${sentence}\n`, code: 1 });
  });
});

describe('changes', () => {
  it('label and annotate', async () => {
    const cli = await createCli();
    await cli.create(manifest(podManifest('web', { app: 'web' })));
    expect((await cli.run('label pod web tier=front')).out).toBe('pod/web labeled\n');
    expect((await cli.run('label pod web tier=front')).out).toBe('pod/web not labeled\n');
    expect(await cli.run('label pod web tier=back')).toEqual({
      out: '',
      err: "error: 'tier' already has a value (front), and --overwrite is false\n",
      code: 1,
    });
    expect((await cli.run('label pod web tier=back --overwrite')).out).toBe('pod/web labeled\n');
    expect((await cli.run('label pods -l app=web tier- nope-')).out).toBe(
      'label "nope" not found.\npod/web unlabeled\n',
    );
    expect((await cli.run('annotate pod/web note=hello')).out).toBe('pod/web annotated\n');
    expect((await cli.run('annotate pod/web --list')).out).toBe('note=hello\n');
    expect((await cli.get<Pod>('Pod', 'web')).metadata).toMatchObject({
      labels: { app: 'web' },
      annotations: { note: 'hello' },
    });
    expect((await cli.run('label pod web')).err).toContain('at least one label update is required');
  });

  it('scale', async () => {
    const cli = await createCli();
    await cli.create(manifest(deploymentManifest('web')));
    expect((await cli.run('scale deploy/web --replicas=3')).out).toBe('deployment.apps/web scaled\n');
    const wrong = await cli.run('scale deploy web --replicas=5 --current-replicas=2');
    expect(wrong.code).toBe(1);
    expect(wrong.err).toContain('has 3 replicas, not 2; nothing was changed');
    expect((await cli.get<Deployment>('Deployment', 'web')).spec.replicas).toBe(3);
    expect((await cli.run('scale deploy/web --replicas=x')).err).toBe(
      'error: --replicas=x: give a whole number, 0 or more\n',
    );
    expect((await cli.run('scale deploy/web')).err).toContain("required option '--replicas <count>' not specified");
  });

  it('set image', async () => {
    const cli = await createCli();
    await cli.create(manifest(deploymentManifest('web')));
    expect((await cli.run('set image deploy/web web=nginx:2')).out).toBe('deployment.apps/web image updated\n');
    expect((await cli.run('set image deploy/web web=nginx:2')).out).toBe('');
    expect((await cli.run('set image deployment web *=nginx:3')).code).toBe(0);
    const { spec } = await cli.get<Deployment>('Deployment', 'web');
    expect(spec.template.spec.containers[0]!.image).toBe('nginx:3');
    expect((await cli.run('set image deploy/web other=nginx:2')).err).toBe(
      'error: unable to find container named "other"; there is web\n',
    );
    expect((await cli.run('set image deploy/web')).err).toContain('at least one image update is required');
  });

  it('set env', async () => {
    const cli = await createCli();
    await cli.create(manifest(deploymentManifest('web')));
    await cli.create(manifest(configMapManifest('settings', { 'log.level': 'debug', port: '80' })));
    const envOf = async () => (await cli.get<Deployment>('Deployment', 'web')).spec.template.spec.containers[0]!.env;
    expect((await cli.run('set env deploy/web A=1 B=x=y')).out).toBe('deployment.apps/web env updated\n');
    expect((await cli.run('set env deploy/web A=1')).out).toBe('');
    expect((await cli.run('set env -e C=3 deploy/web A=2 B- NEVER- --overwrite=true')).code).toBe(0);
    expect(await envOf()).toEqual([
      { name: 'A', value: '2' },
      { name: 'C', value: '3' },
    ]);
    expect((await cli.run('set env deploy/web A=3 --dry-run=server')).out).toContain('env updated (server dry run)');
    expect((await cli.run('set env deploy/web A=3 --overwrite=false')).err).toContain('container web has A already');
    expect((await cli.run('set env deploy web --from=cm/settings --prefix=APP_')).code).toBe(0);
    expect((await cli.run('set env deploy/web --list')).out).toBe(
      '# Deployment web, container web\nA=2\nC=3\n' +
        '# APP_LOG_LEVEL from configmap settings, key log.level\n# APP_PORT from configmap settings, key port\n',
    );
    expect((await cli.run('set env deploy/web A- C- APP_PORT- APP_LOG_LEVEL- --containers=w*')).code).toBe(0);
    expect(await envOf()).toBeUndefined();
  });

  it.each([
    ['deploy/web', 'at least one environment variable is required: KEY=VALUE, KEY- or --from'],
    ['deploy/web A=1 A-', '"A" is to be set and to be removed'],
    ['deploy/web =1', '"=1": write KEY=VALUE to set a variable, KEY- to remove one'],
    ['deploy/web -e A', '"A": write KEY=VALUE to set a variable, KEY- to remove one'],
    ['deploy/web A=1 --list', '--list shows variables'],
    ['deploy/web A=1 -c other', 'unable to find a container named "other"; there is web'],
    ['deploy/web --from=cm/settings --keys=no', 'cm/settings has no key "no"; it has port'],
    ['deploy/web --from=svc/x', '--from=svc/x: name configmap/NAME or secret/NAME'],
    ['cm/settings A=1', 'a ConfigMap has no containers; name a workload or a pod'],
    ['deploy/web 1A=1', 'spec.template.spec.containers[0].env'],
  ])('refuses `set env %s`', async (words, sentence) => {
    const cli = await createCli();
    await cli.create(manifest(deploymentManifest('web')));
    await cli.create(manifest(configMapManifest('settings', { port: '80' })));
    const { err, code } = await cli.run(`set env ${words}`);
    expect(err).toContain(sentence);
    expect(code).toBe(1);
  });

  it('patch', async () => {
    const cli = await createCli();
    await cli.create(manifest(deploymentManifest('web')));
    const patch = (text: string, ...more: string[]) => cli.run(['patch', 'deploy', 'web', '-p', text, ...more]);
    expect((await patch('{"spec":{"replicas":2}}')).out).toBe('deployment.apps/web patched\n');
    expect((await patch('spec: {replicas: 2}')).out).toBe('deployment.apps/web patched (no change)\n');
    expect((await patch('{"spec":{"replicas":"x"}}')).err).toContain('spec.replicas');
    expect((await patch('{"metadata":{"finalizers":["a"]}}')).err).toContain('say --type=merge to replace the list');
    expect((await patch('{"metadata":{"finalizers":[]}}', '--type=merge')).code).toBe(0);
    expect((await patch('{}', '--type=json')).err).toContain('not supported: --type=json; use --type=merge');
    expect((await patch('{')).err).toContain('unable to parse the patch');
    expect((await patch('3')).err).toContain('the patch must be an object');
  });
});

describe('what needs no cluster', () => {
  it('api-resources', async () => {
    const cli = await createCli();
    expect((await cli.run('api-resources')).out).toMatch(
      /^NAME +SHORTNAMES +APIVERSION +NAMESPACED +KIND\nconfigmaps +cm +v1 +true +ConfigMap\n/,
    );
    expect((await cli.run('api-resources --namespaced=false -o name')).out).toBe(
      'namespaces\nnodes\npersistentvolumes\npriorityclasses.scheduling.k8s.io\nstorageclasses.storage.k8s.io\n',
    );
    expect((await cli.run('api-resources -o name')).out).toContain('deployments.apps\n');
  });

  it('explain', async () => {
    const cli = await createCli();
    const { out } = await cli.run('explain pod.spec.restartPolicy');
    expect(out).toBe(
      'KIND:       Pod\nVERSION:    v1\n\nFIELD: restartPolicy <string>\nenum: Always, OnFailure, Never\n\n' +
        'DESCRIPTION:\n    Default Always.\n\n',
    );
    expect((await cli.run('explain deploy.spec')).out).toContain('  template\t<PodTemplateSpec> -required-\n');
    expect((await cli.run('explain pod.spec --recursive')).out).toContain(
      '  containers\t<[]Container>\n    name\t<string>',
    );
    expect((await cli.run('explain pod.spec.contaners')).err).toBe(
      'error: field "contaners" does not exist; did you mean containers?\n',
    );
  });

  it('version --client', async () => {
    const cli = await createCli();
    expect((await cli.run('version --client')).out).toMatch(/^Client Version: v\d+\.\d+\.\d+\n$/);
    expect((await cli.run('version')).out).toMatch(/^Client Version: .*\nServer Version: v0\.0\.0\n$/);
  });

  it('says what it does not have, and what to do instead', async () => {
    const cli = await createCli();
    expect(await cli.run('edit deploy web --flag')).toEqual({
      out: '',
      err: 'error: not supported: ctl edit; write it out with `ctl get TYPE NAME -o yaml > FILE`, change the file, then `ctl apply -f FILE`\n',
      code: 1,
    });
    const unknown = await cli.run('gett pods');
    expect(unknown.code).toBe(1);
    expect(unknown.err).toContain("error: unknown command 'gett'\n(Did you mean get?)");
    expect((await cli.run('get pods --colour')).err).toContain("error: unknown option '--colour'");
  });

  it('lists its commands', async () => {
    const cli = await createCli();
    const { out, code } = await cli.run('--help');
    expect(code).toBe(0);
    for (const name of ['get', 'apply', 'delete', 'rollout', 'drain', 'dns', 'lab']) {
      expect(out).toMatch(new RegExp(`^  ${name} `, 'm'));
    }
    expect((await cli.run('help rollout')).out).toContain('wait for the rollout and tell how it goes');
  });
});
