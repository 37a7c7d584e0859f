/**
 * What our watch relies on of etcd's answers to progress requests (lib/store/etcd-watch.ts): a silent stream is asked for
 * a sign of life; the real etcd gives one, and a stream that gives none is replaced.
 */
import type { IWatchRequest, IWatchResponse } from 'etcd3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { createEtcdStore, type EtcdStore } from '../../lib/store/etcd.ts';
import { EtcdClient } from '../../lib/store/etcd-client.ts';
import { watchEtcd } from '../../lib/store/etcd-watch.ts';
import type { MessageStream } from '../../lib/store/message-reader.ts';
import { putOf, type WatchEvent } from '../../lib/store/store.ts';
import { bytes, startServer, until } from './store-harness.ts';

type Stream = MessageStream<IWatchRequest, IWatchResponse>;

let etcd: Awaited<ReturnType<typeof startServer>>;
let store: EtcdStore;

beforeAll(async () => {
  etcd = await startServer();
  store = createEtcdStore({ endpoints: [etcd.server.endpoint], clock: systemClock });
});
afterAll(async () => {
  await store.close();
  await etcd.end();
});

/** Ten seconds of silence are a little more than one; for its answer etcd has all the time that it has otherwise. */
const quickClock: Clock = {
  ...systemClock,
  schedule: (delayMs, callback) => systemClock.schedule(delayMs < 10_000 ? delayMs : delayMs / 8, callback),
};

/** A stream as our watch had it. */
interface Seen {
  /** How often it was asked for a sign of life. */
  asked: number;
  readonly responses: IWatchResponse[];
}

/** A watch whose streams are looked at. Those for which `isMute` says so keep all that comes after their creation. */
async function watching(prefix: string, isMute: (stream: number) => boolean) {
  const client = new EtcdClient({ endpoints: [etcd.server.endpoint], clock: systemClock });
  const { watchClient } = client.current.client;
  const open = watchClient.watch.bind(watchClient);
  const streams: Seen[] = [];
  watchClient.watch = async () => {
    const stream = (await open()) as unknown as Stream;
    const seen: Seen = { asked: 0, responses: [] };
    const mute = isMute(streams.length);
    streams.push(seen);
    const [read, write] = [
      stream.read.bind(stream) as (size?: number) => IWatchResponse | null,
      stream.write.bind(stream),
    ];
    // Node itself reads nothing (0) now and then.
    stream.read = (size?: number) => {
      const response = read(size);
      if (!response || (mute && !response.created)) return null;
      seen.responses.push(response);
      return response;
    };
    stream.write = (request) => {
      if ('progress_request' in request) seen.asked += 1;
      return write(request);
    };
    return stream as never;
  };
  const ending = new AbortController();
  const events: WatchEvent[] = [];
  const { revision } = await store.get(prefix);
  const options = { clock: quickClock, log: silentLog, closing: ending.signal, signal: ending.signal };
  const run = async (): Promise<void> => {
    for await (const batch of watchEtcd({ client, prefix, fromRevision: revision + 1n, ...options })) {
      if (batch.kind === 'events') events.push(...batch.events);
    }
  };
  const ended = run();
  await until(() => streams[0]?.responses.some(({ created }) => created) === true);
  return {
    streams,
    keys: () => events.map(({ key }) => key),
    async stop() {
      ending.abort();
      await ended;
      client.close();
    },
  };
}

const put = (key: string) => store.transact({ compare: [], success: [putOf(key, bytes('1'))] });

it.concurrent('the real etcd answers a silent stream, which then stays, and loses nothing', {
  timeout: 20_000,
}, async () => {
  const watch = await watching('/silent/', () => false);
  const [stream] = watch.streams as [Seen];
  const answers = () => stream.responses.filter(({ created, events }) => !created && events.length === 0);
  try {
    await put('/elsewhere/a'); // the answer's header is ahead of all that the watch has seen
    await until(() => answers().length >= 2);
    expect(stream.asked).toBe(2);
    for (const { canceled, compact_revision, fragment } of answers()) {
      expect({ canceled, compact: `${compact_revision}`, fragment }).toEqual({
        canceled: false,
        compact: '0',
        fragment: false,
      });
    }
    await put('/silent/a');
    await put('/silent/b');
    await until(() => watch.keys().length === 2);
    expect(watch.keys()).toEqual(['/silent/a', '/silent/b']);
    expect(watch.streams).toHaveLength(1);
  } finally {
    await watch.stop();
  }
});

it.concurrent('a stream that does not answer is replaced, and nothing of its time is lost or told twice', {
  timeout: 20_000,
}, async () => {
  const watch = await watching('/mute/', (stream) => stream === 0);
  try {
    await put('/mute/a');
    await put('/mute/b');
    await until(() => watch.streams.length === 2);
    expect(watch.streams[0]!.asked).toBe(1);
    await put('/mute/c');
    await until(() => watch.keys().length >= 3);
    expect(watch.keys()).toEqual(['/mute/a', '/mute/b', '/mute/c']);
    expect(watch.streams).toHaveLength(2);
  } finally {
    await watch.stop();
  }
});
