/** Get, List and Watch against the memory store, and who may call them. */
import { describe, expect, it } from 'vitest';
import { authorize } from '../../../../control-plane/api/roles.ts';
import { GantryError, isGantryError } from '../../../../lib/errors.ts';
import { fromEnvelope } from '../../../../lib/model/codec.ts';
import { keyOf, objectKey } from '../../../../lib/model/keys.ts';
import { deleteOf, putOf } from '../../../../lib/store/store.ts';
import type { KubeObject, Pod, WatchEvent, WatchRequest } from '../../../../proto/gen/types.ts';
import {
  admin,
  configMapManifest,
  contextOf,
  createHarness,
  deploymentManifest,
  type Harness,
  manifest,
  podManifest,
} from './harness.ts';

const nameOf = (object: KubeObject | undefined): string => object?.metadata.name ?? '';
const codeOf = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error) => (error instanceof GantryError ? error.code : String(error)),
  );

async function withPods(): Promise<Harness> {
  const harness = await createHarness();
  for (const [name, app] of [
    ['a', 'web'],
    ['b', 'web'],
    ['c', 'db'],
    ['d', 'web'],
  ] as const) {
    await harness.create(manifest<Pod>(podManifest(name, { app })));
  }
  const bound = await harness.get<Pod>('pods', 'b');
  await harness.put({ ...bound, spec: { ...bound.spec, nodeName: 'node-1' }, status: { phase: 'Running' } });
  return harness;
}

describe('list', () => {
  const cases: readonly (readonly [object, string])[] = [
    [{}, 'a b c d'],
    [{ namespace: 'default' }, 'a b c d'],
    [{ namespace: 'other' }, ''],
    [{ labelSelector: 'app=web' }, 'a b d'],
    [{ labelSelector: 'app in (db), app' }, 'c'],
    [{ labelSelector: '!app' }, ''],
    [{ fieldSelector: 'metadata.name=c' }, 'c'],
    [{ fieldSelector: 'spec.nodeName=' }, 'a c d'],
    [{ fieldSelector: 'status.phase!=Pending' }, 'b'],
    [{ labelSelector: 'app=web', fieldSelector: 'status.phase=Pending,metadata.name!=a' }, 'd'],
  ];
  it.each(cases)('%j selects "%s"', async (request, names) => {
    const { api } = await withPods();
    const { items = [] } = await api.List({ kind: 'pods', ...request }, admin);
    expect(items.map((item) => nameOf(fromEnvelope(item))).join(' ')).toBe(names);
  });

  it('pages at one revision whatever is written in between', async () => {
    const harness = await withPods();
    const names: string[] = [];
    const revisions = new Set<string | undefined>();
    let token: string | undefined;
    do {
      const page = await harness.api.List(
        { kind: 'Pod', labelSelector: 'app=web', limit: 1, ...(token && { continue: token }) },
        admin,
      );
      names.push(...(page.items ?? []).map((item) => nameOf(fromEnvelope(item))));
      revisions.add(page.resourceVersion);
      token = page.continue;
      await harness.create(manifest(podManifest(`a${names.length}`, { app: 'web' })));
    } while (token);
    expect(names).toEqual(['a', 'b', 'd']);
    expect(revisions.size).toBe(1);
  });

  it('says "list again" when a page has been compacted away, and refuses tokens that are not its own', async () => {
    const harness = await withPods();
    const { continue: token = '' } = await harness.api.List({ kind: 'Pod', limit: 1 }, admin);
    await harness.create(manifest(configMapManifest('c')));
    await harness.store.compact((await harness.store.status()).revision);
    const late = harness.api.List({ kind: 'Pod', limit: 1, continue: token }, admin);
    await expect(late).rejects.toSatisfy(
      (error) => isGantryError(error, 'outOfRange') && /list again/.test(error.message),
    );
    expect(await codeOf(harness.api.List({ kind: 'Service', continue: token }, admin))).toBe('invalidArgument');
    expect(await codeOf(harness.api.List({ kind: 'Pod', continue: 'x' }, admin))).toBe('invalidArgument');
  });

  it.each([
    [{ kind: 'Pods2' }, /unknown kind/],
    [{}, /kind: required/],
    [{ kind: 'Pod', labelSelector: 'a b c' }, /cannot read "a b c"/],
    [{ kind: 'Pod', fieldSelector: 'spec.containers=x' }, /cannot be selected by spec.containers/],
    [{ kind: 'Pod', fieldSelector: 'status.fase=x' }, /cannot be selected by status.fase/],
    [{ kind: 'Pod', fieldSelector: 'nonsense' }, /cannot read "nonsense"/],
    [{ kind: 'Pod', limit: -1 }, /negative/],
    [{ kind: 'Pod', namespace: 'a/b' }, /not a name/],
  ])('refuses %j', async (request, message) => {
    const { api } = await createHarness();
    await expect(api.List(request, admin)).rejects.toThrow(message);
  });
});

/** A watch read step by step. */
function watching({ api }: Harness, request: WatchRequest) {
  const stop = new AbortController();
  const iterator = api.Watch(request, contextOf('admin', stop.signal))[Symbol.asyncIterator]();
  const line = ({ type, object }: WatchEvent): string => `${type} ${nameOf(fromEnvelope(object))}`.trim();
  return {
    stop,
    next: async (): Promise<WatchEvent> => (await iterator.next()).value as WatchEvent,
    async lines(count: number): Promise<string[]> {
      const lines: string[] = [];
      while (lines.length < count) lines.push(line((await iterator.next()).value as WatchEvent));
      return lines;
    },
    ended: async (): Promise<boolean> => (await iterator.next()).done === true,
  };
}

describe('watch', () => {
  it('begins with all there is and a bookmark, then tells every change', async () => {
    const harness = await withPods();
    const watch = watching(harness, { kind: 'Pod' });
    expect(await watch.lines(5)).toEqual(['ADDED a', 'ADDED b', 'ADDED c', 'ADDED d', 'BOOKMARK']);
    await harness.create(manifest(podManifest('e')));
    await harness.create(manifest(configMapManifest('c')));
    await harness.api.Patch({ kind: 'Pod', name: 'e', patch: '{"metadata":{"labels":{"x":"y"}}}' }, admin);
    await harness.api.Delete({ kind: 'Pod', name: 'e' }, admin);
    expect(await watch.lines(3)).toEqual(['ADDED e', 'MODIFIED e', 'DELETED e']);
    watch.stop.abort();
    expect(await watch.ended()).toBe(true);
  });

  it('tells several changes in one message to who says that they may come together, in order', async () => {
    const harness = await withPods();
    const { resourceVersion = '' } = await harness.api.List({ kind: 'Pod' }, admin);
    const together = watching(harness, { kind: 'Pod', resourceVersion, together: true });
    const apart = watching(harness, { kind: 'Pod', resourceVersion });
    const names = Array.from({ length: 100 }, (_, i) => `p-${String(i).padStart(3, '0')}`);
    const pods = names.map((name) => manifest<Pod>(podManifest(name)));
    await harness.store.transact({
      compare: [],
      success: pods.map((pod) => putOf(keyOf(pod), harness.dependencies.codec.encode(pod))),
    });
    const events: WatchEvent[] = [];
    let messages = 0;
    while (events.length < names.length) {
      const { following = [], ...first } = await together.next();
      events.push(first, ...following);
      messages += 1;
    }
    expect(messages).toBeLessThanOrEqual(4);
    for (const event of events) expect(event).toEqual(await apart.next());
    expect(events.map(({ object }) => nameOf(fromEnvelope(object)))).toEqual(names);
    together.stop.abort();
    apart.stop.abort();
  });

  it('resumes from a list without losing or repeating anything', async () => {
    const harness = await withPods();
    const { resourceVersion = '' } = await harness.api.List({ kind: 'Pod' }, admin);
    await harness.create(manifest(podManifest('e')));
    await harness.create(manifest(podManifest('f')));
    const first = watching(harness, { kind: 'Pod', resourceVersion });
    const event = await first.next();
    expect(nameOf(fromEnvelope(event.object))).toBe('e');
    const second = watching(harness, { kind: 'Pod', resourceVersion: event.resourceVersion ?? '' });
    expect(await second.lines(1)).toEqual(['ADDED f']);
    first.stop.abort();
    second.stop.abort();
  });

  it('resumes inside a revision of several changes by repeating them', async () => {
    const harness = await withPods();
    const { resourceVersion = '' } = await harness.api.List({ kind: 'Pod' }, admin);
    const key = (name: string): string => objectKey('Pod', 'default', name);
    await harness.store.transact({ compare: [], success: [deleteOf(key('a')), deleteOf(key('c'))] });
    const watch = watching(harness, { kind: 'Pod', resourceVersion });
    const [one, two] = [await watch.next(), await watch.next()];
    expect(one.resourceVersion).toBe(resourceVersion);
    expect(BigInt(two.resourceVersion ?? 0)).toBe(BigInt(resourceVersion) + 1n);
    expect(fromEnvelope(one.object)?.metadata.resourceVersion).toBe(two.resourceVersion);
    watch.stop.abort();
  });

  it('turns changes of what a selector selects into ADDED and DELETED', async () => {
    const harness = await withPods();
    const watch = watching(harness, { kind: 'Pod', labelSelector: 'app=web', fieldSelector: 'metadata.name!=a' });
    expect(await watch.lines(3)).toEqual(['ADDED b', 'ADDED d', 'BOOKMARK']);
    const label = (name: string, app: string) =>
      harness.api.Patch({ kind: 'Pod', name, patch: JSON.stringify({ metadata: { labels: { app } } }) }, admin);
    await label('c', 'web');
    await label('a', 'db');
    await label('d', 'db');
    await label('d', 'cache');
    await harness.api.Delete({ kind: 'Pod', name: 'd' }, admin);
    await harness.api.Delete({ kind: 'Pod', name: 'c' }, admin);
    expect(await watch.lines(3)).toEqual(['ADDED c', 'DELETED d', 'DELETED c']);
    watch.stop.abort();
  });

  it('says "list again" for what is compacted and for what does not exist yet', async () => {
    const harness = await withPods();
    await harness.store.compact((await harness.store.status()).revision);
    const failure = async (resourceVersion: string): Promise<string> =>
      codeOf(watching(harness, { kind: 'Pod', resourceVersion }).next());
    expect(await failure('2')).toBe('outOfRange');
    expect(await failure('999')).toBe('outOfRange');
    expect(() => watching(harness, { kind: 'Pod', resourceVersion: 'x' })).toThrow(/not a revision/);
  });

  it('ends with unavailable-proof patience: an absent store only delays events', async () => {
    const harness = await withPods();
    const watch = watching(harness, { kind: 'Pod', fieldSelector: 'metadata.name=z' });
    expect(await watch.lines(1)).toEqual(['BOOKMARK']);
    const next = watch.lines(1);
    harness.store.setAvailable(false);
    harness.store.setAvailable(true);
    await harness.create(manifest(podManifest('z')));
    expect(await next).toEqual(['ADDED z']);
    watch.stop.abort();
  });
});

describe('roles', () => {
  const peerOf = (organization: string) => ({ commonName: 'x', organization, address: '' });
  const may = (organization: string, method: string, service = 'Cluster'): string => {
    try {
      authorize({ service, method, peer: peerOf(organization) });
      return 'ok';
    } catch (error) {
      return (error as GantryError).code;
    }
  };

  it.each([
    ['viewer', 'List', 'ok'],
    ['viewer', 'Logs', 'ok'],
    ['viewer', 'Apply', 'permissionDenied'],
    ['viewer', 'Exec', 'permissionDenied'],
    ['editor', 'Apply', 'ok'],
    ['editor', 'Exec', 'ok'],
    ['editor', 'CreateToken', 'permissionDenied'],
    ['admin', 'CreateToken', 'ok'],
    ['admin', 'MethodOfTomorrow', 'ok'],
    ['editor', 'MethodOfTomorrow', 'permissionDenied'],
    ['node', 'List', 'permissionDenied'],
    ['control-plane', 'Get', 'permissionDenied'],
    ['', 'Get', 'permissionDenied'],
  ])('%s calls %s: %s', (organization, method, result) => {
    expect(may(organization, method)).toBe(result);
  });

  it('asks for a certificate where there is none, and leaves other services to others', () => {
    const nobody = { commonName: '', organization: '', address: '' };
    expect(() => authorize({ service: 'Cluster', method: 'Get', peer: nobody })).toThrow(/no client certificate/);
    expect(may('node', 'Session', 'NodeSession')).toBe('ok');
  });

  it('keeps Secrets from viewers, and nodes and namespaces from editors', async () => {
    const harness = await createHarness();
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } } as const;
    await harness.create(secret);
    const { api } = harness;
    const [viewer, editor] = [contextOf('viewer'), contextOf('editor')];
    expect(await codeOf(api.Get({ kind: 'Secret', name: 's' }, viewer))).toBe('permissionDenied');
    expect(await codeOf(api.List({ kind: 'secrets' }, viewer))).toBe('permissionDenied');
    expect(() => api.Watch({ kind: 'Secret' }, viewer)).toThrow(/may not read secrets/);
    expect(await codeOf(api.Get({ kind: 'Secret', name: 's' }, editor))).toBe('ok');
    expect(await codeOf(api.Delete({ kind: 'Node', name: 'n' }, editor))).toBe('permissionDenied');
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n' } } as const;
    expect(await codeOf(api.Create({ object: { namespace } }, editor))).toBe('permissionDenied');
    expect(await codeOf(api.Create({ object: { namespace } }, admin))).toBe('ok');
    const deployment = manifest<KubeObject>(deploymentManifest());
    expect(await codeOf(api.Apply({ object: { deployment } as object }, editor))).toBe('ok');
    expect(await codeOf(api.Create({}, admin))).toBe('invalidArgument');
  });
});

describe('the rest', () => {
  it('tells what the cluster is', async () => {
    const { api } = await createHarness({ leader: () => 'control-plane:a' });
    expect(await api.GetClusterInfo({}, admin)).toMatchObject({ zone: 'cluster.local', leader: 'control-plane:a' });
  });

  it('passes on what others answer, and says so when nobody does', async () => {
    const { api } = await createHarness();
    await expect(api.Resolve({ name: 'x' }, admin)).rejects.toThrow(/serves no DNS/);
    const resolving = await createHarness({ resolve: async ({ name = '' }) => ({ canonicalName: name }) });
    expect(await resolving.api.Resolve({ name: 'x' }, admin)).toEqual({ canonicalName: 'x' });
  });

  it('audits exec by pod and program, without arguments', async () => {
    const harness = await createHarness({
      logsAndExec: {
        async *Logs() {},
        async *Exec(requests) {
          for await (const { start } of requests) yield { exitCode: start?.command?.length ?? 0 };
        },
      },
    });
    async function* requests() {
      yield { start: { pod: 'p', command: ['mysql', '-psecret'] } };
    }
    const codes: unknown[] = [];
    for await (const answer of harness.api.Exec(requests(), admin)) codes.push(answer.exitCode);
    expect(codes).toEqual([2]);
    expect(harness.audit).toMatchObject([{ verb: 'exec', name: 'p', program: 'mysql' }]);
    expect(JSON.stringify(harness.audit)).not.toContain('secret');
  });
});
