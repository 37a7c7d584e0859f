/** Following objects through broken connections and compaction; one client over several control planes; the config file. */
import { Metadata } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { findConfig, parseConfig } from '../../../cli/config.ts';
import { overReplicas } from '../../../cli/connection.ts';
import type { ClusterClient, Context } from '../../../cli/context.ts';
import { errorLines } from '../../../cli/errors.ts';
import { type Change, watchObjects } from '../../../cli/watching.ts';
import { virtualClock } from '../../../lib/clock-virtual.ts';
import { GantryError } from '../../../lib/errors.ts';
import { toEnvelope } from '../../../lib/model/codec.ts';
import { fromServiceError, toStatus } from '../../../lib/rpc/status.ts';
import type { ConfigMap, WatchEvent, WatchRequest } from '../../../proto/gen/types.ts';

const object = (name: string, resourceVersion: string): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', resourceVersion },
});
const event = (type: string, name: string, version: string): WatchEvent => ({
  type,
  object: toEnvelope(object(name, version)),
  resourceVersion: version,
});
const bookmark = (resourceVersion: string): WatchEvent => ({ type: 'BOOKMARK', resourceVersion });

/** One script a connection; an error ends it. */
async function follow(scripts: readonly (WatchEvent | GantryError)[][]): Promise<{
  told: string[];
  asked: (string | undefined)[];
  warnings: string[];
  error?: unknown;
}> {
  const asked: (string | undefined)[] = [];
  const warnings: string[] = [];
  const clock = virtualClock();
  const stop = new AbortController();
  const cluster = {
    async *Watch(request: WatchRequest) {
      const script = scripts[asked.length];
      asked.push(request.resourceVersion);
      if (!script) return stop.abort();
      for (const step of script) {
        if (step instanceof GantryError) throw step;
        yield step;
      }
    },
  } as unknown as ClusterClient;
  const context = { cluster, clock, signal: stop.signal, warn: (line: string) => warnings.push(line) };
  const told: string[] = [];
  const name = (change: Change): string => (change.type === 'BOOKMARK' ? '' : ` ${change.object.metadata.name}`);
  let error: unknown;
  const reading = (async () => {
    try {
      for await (const change of watchObjects(context as unknown as Context, 'ConfigMap', {})) {
        told.push(`${change.type}${name(change)}`);
      }
    } catch (thrown) {
      error = thrown;
      stop.abort();
    }
  })();
  await clock.until(() => stop.signal.aborted, 10_000);
  await reading;
  return { told, asked, warnings, error };
}

const unavailable = new GantryError('unavailable', 'The connection to the server failed.');
const compacted = new GantryError('outOfRange', 'list again');

describe('watchObjects', () => {
  it('resumes at the last revision when the connection breaks, says so once, and tells nothing twice', async () => {
    const { told, asked, warnings, error } = await follow([
      [event('ADDED', 'a', '1'), bookmark('5'), event('MODIFIED', 'a', '6'), unavailable],
      [unavailable],
      [event('MODIFIED', 'a', '6'), event('ADDED', 'b', '7')],
    ]);
    expect(told).toEqual(['ADDED a', 'BOOKMARK', 'MODIFIED a', 'ADDED b']);
    expect(asked).toEqual(['', '6', '6', '7']);
    expect(warnings).toEqual(['Warning: The connection to the server failed. Trying again.']);
    expect(error).toBeUndefined();
  });

  it('lists again after compaction, and finds what changed and vanished meanwhile', async () => {
    const { told, asked } = await follow([
      [event('ADDED', 'a', '1'), event('ADDED', 'b', '2'), event('ADDED', 'c', '3'), bookmark('5'), compacted],
      [event('ADDED', 'a', '1'), event('ADDED', 'b', '9'), event('ADDED', 'd', '8'), bookmark('10')],
    ]);
    expect(told).toEqual(['ADDED a', 'ADDED b', 'ADDED c', 'BOOKMARK', 'MODIFIED b', 'ADDED d', 'DELETED c']);
    expect(asked).toEqual(['', '', '10']);
  });

  it('starts over when the first list was cut short by the server', async () => {
    const { told, asked } = await follow([[event('ADDED', 'a', '9')], [event('ADDED', 'a', '9'), bookmark('10')]]);
    expect(told).toEqual(['ADDED a', 'BOOKMARK']);
    expect(asked).toEqual(['', '', '10']);
  });

  it('fails at once when the server cannot be reached at first, or refuses', async () => {
    expect((await follow([[unavailable]])).error).toBe(unavailable);
    const denied = new GantryError('permissionDenied', 'no');
    expect((await follow([[bookmark('1'), denied]])).error).toBe(denied);
  });
});

describe('overReplicas', () => {
  const answers = (name: string) => ({ Get: async () => ({ name }) }) as unknown as ClusterClient;
  const dead = (calls: string[], name: string) =>
    ({
      Get: async () => {
        calls.push(name);
        throw new GantryError('unavailable', 'connection refused');
      },
      // biome-ignore lint/correctness/useYield: it fails before it has anything to say
      async *Watch() {
        calls.push(name);
        throw new GantryError('unavailable', 'connection refused');
      },
    }) as unknown as ClusterClient;
  const replica = (address: string, client: ClusterClient) => ({ address, reached: async () => client });

  it('tries the next one, and stays with the one that answered', async () => {
    const calls: string[] = [];
    const client = overReplicas([replica('a:1', dead(calls, 'a')), replica('b:1', answers('b'))]);
    expect(await client.Get({})).toEqual({ name: 'b' });
    expect(await client.Get({})).toEqual({ name: 'b' });
    expect(calls).toEqual(['a']);
  });

  it('names all addresses when none can be reached', async () => {
    const calls: string[] = [];
    const client = overReplicas([replica('a:1', dead(calls, 'a')), replica('b:1', dead(calls, 'b'))]);
    await expect(client.Get({})).rejects.toThrow(
      'The connection to the server a:1, b:1 failed: connection refused. Is the control plane running?',
    );
    const stream = client.Watch({})[Symbol.asyncIterator]();
    await expect(stream.next()).rejects.toThrow('The connection to the server a:1, b:1 failed');
    expect(calls).toEqual(['a', 'b', 'a', 'b']);
  });

  it('turns to another one when a host stays silent', async () => {
    const silent = {
      address: 'a:1',
      reached: () => Promise.reject(new GantryError('unavailable', 'the host did not answer within 1.5 s')),
    };
    expect(await overReplicas([silent, replica('b:1', answers('b'))]).Get({})).toEqual({ name: 'b' });
    await expect(overReplicas([silent]).Get({})).rejects.toThrow(
      'The connection to the server a:1 failed: the host did not answer within 1.5 s.',
    );
  });

  it('does not wait for a silent host while another one answers', async () => {
    const clock = virtualClock();
    let dialled = 0;
    const reached = () => {
      dialled += 1;
      return new Promise<ClusterClient>(() => {});
    };
    const client = overReplicas([{ address: 'a:1', reached }, replica('b:1', answers('b'))], clock);
    const answer = client.Get({});
    const startedMs = clock.monotonicMs();
    let done = false;
    void answer.then(() => {
      done = true;
    });
    await clock.until(() => done, 1_000, 'an answer');
    expect(await answer).toEqual({ name: 'b' });
    expect(clock.monotonicMs() - startedMs).toBeLessThanOrEqual(250);
    expect(await client.Get({})).toEqual({ name: 'b' });
    expect(dialled).toBe(1);
  });

  it('dials one host alone when it answers', async () => {
    let dialled = 0;
    const reached = async () => {
      dialled += 1;
      return answers('b');
    };
    const client = overReplicas([replica('a:1', answers('a')), { address: 'b:1', reached }]);
    expect(await client.Get({})).toEqual({ name: 'a' });
    expect(dialled).toBe(0);
  });

  it('asks another one next when a call was waited for in vain, and repeats nothing by itself', async () => {
    const calls: string[] = [];
    const stopped = {
      Get: async () => {
        calls.push('a');
        throw new GantryError('deadlineExceeded', 'no answer within 10 s');
      },
    } as unknown as ClusterClient;
    const client = overReplicas([replica('a:1', stopped), replica('b:1', answers('b'))]);
    await expect(client.Get({})).rejects.toThrow('no answer within 10 s');
    expect(await client.Get({})).toEqual({ name: 'b' });
    expect(await client.Get({})).toEqual({ name: 'b' });
    expect(calls).toEqual(['a']);
  });

  it('passes on what a server itself says is unavailable', async () => {
    const status = toStatus(new GantryError('unavailable', 'node-1 does not answer'));
    status.metadata?.set('content-type', 'application/grpc+proto');
    const said = fromServiceError(Object.assign(new Error('x'), status));
    const client = { Get: () => Promise.reject(said) } as unknown as ClusterClient;
    const error = await overReplicas([replica('a:1', client)])
      .Get({})
      .catch((thrown: unknown) => thrown);
    expect(errorLines(error)).toEqual(['Error from server (ServiceUnavailable): node-1 does not answer']);
  });

  it('does not ask another one about what was refused', async () => {
    const calls: string[] = [];
    const refusing = {
      Get: () => Promise.reject(new GantryError('notFound', 'pods "x" not found')),
    } as unknown as ClusterClient;
    const client = overReplicas([replica('a:1', refusing), replica('b:1', dead(calls, 'b'))]);
    await expect(client.Get({})).rejects.toThrow('pods "x" not found');
    expect(calls).toEqual([]);
  });
});

describe('errors', () => {
  it('are worded as kubectl words them, with their details', () => {
    const refused = new GantryError('invalidArgument', 'Pod "x" is invalid', { details: ['spec: a', 'spec: b'] });
    const remote = fromServiceError(Object.assign(new Error('x'), toStatus(refused)));
    expect(errorLines(remote)).toEqual([
      'Error from server (Invalid): Pod "x" is invalid',
      '  * spec: a',
      '  * spec: b',
    ]);
    expect(errorLines(refused)[0]).toBe('error: Pod "x" is invalid');
    expect(errorLines('text')).toEqual(['error: text']);
    expect(errorLines('\u001b[2Jx\ny')).toEqual(['error: \\u001b[2Jx\ny']);
    expect(errorLines('x'.repeat(9999))[0]).toHaveLength(2003);
    const late = {
      code: 4,
      details: 'Deadline exceeded after 10.001s,name resolution: 0.035s',
      metadata: new Metadata(),
    };
    expect(errorLines(fromServiceError(Object.assign(new Error('x'), late)))).toEqual([
      'Error from server (Timeout): no answer came within 10 s; a change may have been made all the same, so look before you repeat it',
    ]);
  });
});

describe('the config file', () => {
  const good = { server: 'a:6443', caCertificate: 'CA', clientCertificate: 'C', clientKey: 'K' };

  it('is read, with several servers when there are', () => {
    expect(parseConfig(good, 'f')).toMatchObject({ servers: ['a:6443'], namespace: 'default', path: 'f' });
    expect(parseConfig({ ...good, servers: ['a:1', 'b:1'], namespace: 'team' }, 'f')).toMatchObject({
      servers: ['a:1', 'b:1'],
      namespace: 'team',
    });
  });

  it.each(['server', 'caCertificate', 'clientCertificate', 'clientKey'])('without %s is refused', (name) => {
    expect(() => parseConfig({ ...good, [name]: undefined }, 'f')).toThrow(`config file f: ${name} is missing`);
  });

  it('that is named but not there is an error', () => {
    expect(() => findConfig('/nonexistent', {})).toThrow('there is no config file /nonexistent');
    expect(() => findConfig(undefined, { GANTRY_CONFIG: '/nonexistent' })).toThrow('there is no config file');
  });
});
