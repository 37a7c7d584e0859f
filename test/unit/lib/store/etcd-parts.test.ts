/** The pure parts of the etcd store. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../../lib/clock.ts';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { readFailure } from '../../../../lib/store/etcd-client.ts';
import { wireRange } from '../../../../lib/store/etcd-codec.ts';
import { etcdArgv, lastLogLine, logPath, openLog, shortenLog } from '../../../../lib/store/etcd-launch.ts';
import { isRunning, listeningInodes, startTimeOf } from '../../../../lib/store/etcd-process.ts';
import { takeComplete } from '../../../../lib/store/etcd-watch.ts';
import { MessageReader, type MessageStream } from '../../../../lib/store/message-reader.ts';
import type { WatchEvent } from '../../../../lib/store/store.ts';

describe('takeComplete', () => {
  const events = (...revisions: number[]): WatchEvent[] =>
    revisions.map((revision) => ({ type: 'delete', key: '/a', modRevision: BigInt(revision) }));

  it.each([
    { revisions: [1, 1, 2], fragment: false, complete: 3 },
    { revisions: [1, 1, 2], fragment: true, complete: 2 },
    { revisions: [2, 2], fragment: true, complete: 0 },
    { revisions: [], fragment: true, complete: 0 },
    { revisions: [], fragment: false, complete: 0 },
  ])('of $revisions with fragment $fragment takes $complete', ({ revisions, fragment, complete }) => {
    expect(takeComplete(events(...revisions), fragment).length).toBe(complete);
  });
});

describe('wireRange', () => {
  const range = (prefix: string, startAfter?: string): string[] => {
    const { key, range_end } = wireRange(prefix, startAfter);
    return [key.toString('latin1'), range_end.toString('latin1')];
  };
  it('covers exactly the prefix', () => {
    expect(range('/a/')).toEqual(['/a/', '/a0']);
    expect(range('/~')).toEqual(['/~', '/\x7f']);
    expect(range('')).toEqual(['\0', '\0']);
  });
  it('begins after a key, though never before the prefix', () => {
    expect(range('/a/', '/a/x')).toEqual(['/a/x\0', '/a0']);
    expect(range('/b/', '/a/x')).toEqual(['/b/', '/b0']);
    expect(range('', '/a')).toEqual(['/a\0', '\0']);
  });
});

describe('readFailure', () => {
  it.each([
    ['14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED', true, true],
    ['14 UNAVAILABLE: Connection dropped', true, false],
    ['GRPCUnavailableError: 14 UNAVAILABLE: read ECONNRESET', true, false],
    ['4 DEADLINE_EXCEEDED: Deadline exceeded after 2.0s', true, false],
    ['14 UNAVAILABLE: etcdserver: request timed out', true, false],
    ['13 INTERNAL: Received RST_STREAM with code 2', true, false],
    ['11 OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted', false, false],
    ['8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded', false, false],
    ['3 INVALID_ARGUMENT: etcdserver: duplicate key given in txn request', false, false],
  ])('%s', (message, unanswered, neverSent) => {
    expect(readFailure(new Error(message))).toMatchObject({ unanswered, neverSent });
  });
});

describe('etcd processes', () => {
  it('are known by pid and start time', async () => {
    const startTime = (await startTimeOf(process.pid))!;
    expect(startTime).toMatch(/^\d+$/);
    expect(await isRunning({ pid: process.pid, startTime })).toBe(true);
    expect(await isRunning({ pid: process.pid, startTime: `${startTime}0` })).toBe(false);
    expect(await startTimeOf(2 ** 22 + 1)).toBeUndefined();
  });

  it('are found by their listening socket', () => {
    const table = [
      '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
      '   0: 0100007F:094B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0',
      '   1: 0100007F:094B 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 20 4 30 10 -1',
    ].join('\n');
    expect(listeningInodes(table, 2379)).toEqual(['4242']);
    expect(listeningInodes(table, 2380)).toEqual([]);
  });

  it('write a log that is shortened while they hold it open', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'gantry-etcd-log-'));
    const held = await openLog(dataDir);
    await held.appendFile('0123456789');
    await shortenLog(dataDir, 10);
    expect(await lastLogLine(dataDir)).toBe('0123456789');
    await held.appendFile('more');
    await shortenLog(dataDir, 10);
    await held.appendFile('new');
    expect(await readFile(logPath(dataDir), 'utf8')).toBe('new');
    expect(await readFile(`${logPath(dataDir)}.1`, 'utf8')).toBe('0123456789more');
    await held.close();
    await rm(dataDir, { recursive: true });
  });

  it('are started with quick elections only when alone', () => {
    const options = { dataDir: '/d', name: 'a', clientPort: 1, peerPort: 2 };
    expect(etcdArgv(options)).toContain('--election-timeout=250');
    const several = etcdArgv({ ...options, initialCluster: ['a=https://10.0.0.1:2', 'b=https://10.0.0.2:2'] });
    expect(several.some((flag) => flag.startsWith('--election-timeout'))).toBe(false);
  });
});

describe('MessageReader', () => {
  const readerOf = (stream: Readable, clock = systemClock): MessageReader<number> =>
    new MessageReader(stream as unknown as MessageStream<never, number>, clock);
  const { signal } = new AbortController();

  it('reads only when asked', async () => {
    let produced = 0;
    const stream = new Readable({
      objectMode: true,
      read() {
        produced += 1;
        this.push(produced);
      },
    });
    const reader = readerOf(stream);
    for (let expected = 1; expected <= 100; expected += 1) expect(await reader.next(1000, signal)).toBe(expected);
    await systemClock.sleep(20);
    expect(produced).toBeLessThanOrEqual(100 + stream.readableHighWaterMark + 1);
  });

  it('tells silence, an end, a failure and an abort apart', async () => {
    const clock = virtualClock();
    const silent = new Readable({ objectMode: true, read() {} });
    const waiting = readerOf(silent, clock).next(1000, signal);
    await clock.advance(1000);
    expect(await waiting).toBe('timeout');

    const failing = readerOf(silent, clock).next(1000, signal);
    silent.destroy(new Error('cut'));
    await expect(failing).rejects.toThrow('cut');

    const ended = new Readable({ objectMode: true, read() {} });
    const last = readerOf(ended, clock);
    ended.push(7);
    ended.push(null);
    expect(await last.next(1000, signal)).toBe(7);
    await expect(last.next(1000, signal)).rejects.toThrow('ended');

    const aborting = new AbortController();
    const aborted = readerOf(new Readable({ objectMode: true, read() {} }), clock).next(1000, aborting.signal);
    aborting.abort();
    expect(await aborted).toBeUndefined();
  });
});
