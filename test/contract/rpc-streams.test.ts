/** Streams of a gRPC server over real sockets: order, backpressure both ways, cancelling, errors, stopping. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { GantryError } from '../../lib/errors.ts';
import type { Connection } from '../../lib/rpc/client.ts';
import { Outgoing } from '../../lib/rpc/outgoing.ts';
import type { Handlers } from '../../lib/rpc/serve-call.ts';
import { RpcError } from '../../lib/rpc/status.ts';
import { turnsOver } from '../../lib/rpc/turns-over.ts';
import type { ExecRequest, ExecResponse } from '../../proto/gen/types.ts';
import { type RpcServer, rpcServer, servers } from './rpc-server.ts';

const chunkBytes = 16 * 1024;
/** Buffers of both ends of the connection, HTTP/2's windows, ours. */
const mostAhead = (8 * 1024 * 1024) / chunkBytes;

type AgentHandlers = Handlers<'Agent'>;

describe.each(servers)('%s', (_name, start) => {
  const serving = async (handlers: Partial<AgentHandlers>): Promise<RpcServer & { readonly client: Connection }> => {
    const rpc = await rpcServer(start, { Agent: handlers as AgentHandlers });
    onTestFinished(rpc.end);
    return { ...rpc, client: await rpc.connectAs('ada', 'admin') };
  };

  it('makes no more than a slow reader takes, and loses and reorders nothing', async () => {
    let made = 0;
    const { client } = await serving({
      async *Logs() {
        for (; made < 4 * mostAhead; made += 1) yield { data: numbered(made) };
      },
    });
    const answers = client.client('Agent').Logs({})[Symbol.asyncIterator]();
    const first = await answers.next();
    await settled(() => made);
    expect(made).toBeLessThan(mostAhead);
    const seen = [numberIn(first.value?.data)];
    for await (const { data } of { [Symbol.asyncIterator]: () => answers }) seen.push(numberIn(data));
    expect(seen).toEqual(Array.from({ length: 4 * mostAhead }, (_, index) => index));
  });

  it('the same for messages that are there to be taken', async () => {
    let made = 0;
    const { client } = await serving({
      Logs() {
        const outgoing = new Outgoing<{ data: Uint8Array }>();
        outgoing.from(() => {
          if (made === 2 * mostAhead) return void outgoing.end();
          made += 1;
          return { data: numbered(made) };
        });
        return outgoing;
      },
    });
    const answers = client.client('Agent').Logs({})[Symbol.asyncIterator]();
    await answers.next();
    await settled(() => made);
    expect(made).toBeLessThan(mostAhead);
    let count = 1;
    while (!(await answers.next()).done) count += 1;
    expect(count).toBe(2 * mostAhead);
  });

  it('is drained when the handlers have what had been sent before', async () => {
    const taken: number[] = [];
    const { client, server } = await serving({
      async *Exec(requests) {
        yield {};
        for await (const { stdin } of requests) taken.push(numberIn(stdin));
      },
    });
    const begun = Promise.withResolvers<void>();
    const drained: number[] = [];
    async function* input(): AsyncGenerator<ExecRequest> {
      await begun.promise;
      for (let message = 0; message < 100; message += 1) {
        yield { stdin: numbered(message) };
        await turnsOver(); // now it is in the server's socket
        await server.drained();
        drained.push(taken.length);
      }
    }
    for await (const _ of client.client('Agent').Exec(input())) begun.resolve();
    expect(drained).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  });

  it('takes no more of a client than the handler reads, and all of it in the end', async () => {
    const go = Promise.withResolvers<void>();
    const { client } = await serving({
      async *Exec(requests) {
        await go.promise;
        let count = 0;
        for await (const { stdin } of requests) {
          expect(numberIn(stdin)).toBe(count);
          count += 1;
        }
        yield { stdout: Buffer.from(`${count}`) };
      },
    });
    let sent = 0;
    async function* input(): AsyncGenerator<ExecRequest> {
      for (; sent < 4 * mostAhead; sent += 1) yield { stdin: numbered(sent) };
    }
    const answers = client.client('Agent').Exec(input())[Symbol.asyncIterator]();
    const answer = answers.next();
    await settled(() => sent);
    expect(sent).toBeLessThan(mostAhead);
    go.resolve();
    expect(Buffer.from((await answer).value?.stdout ?? []).toString()).toBe(`${4 * mostAhead}`);
    expect((await answers.next()).done).toBe(true);
  });

  it('answers each message of a conversation at once', async () => {
    const { client } = await serving({
      async *Exec(requests) {
        for await (const { stdin } of requests) yield { stdout: stdin! };
      },
    });
    const questions = new Outgoing<ExecRequest>();
    let next: ExecRequest | undefined;
    questions.from(() => {
      const question = next;
      next = undefined;
      return question;
    });
    const answers = client.client('Agent').Exec(questions)[Symbol.asyncIterator]();
    for (const text of ['a', '', 'b'.repeat(1_000_000), 'c']) {
      next = { stdin: Buffer.from(text) };
      questions.wake();
      expect(Buffer.from((await answers.next()).value?.stdout ?? []).toString()).toBe(text);
    }
    questions.end();
    expect((await answers.next()).done).toBe(true);
  });

  it('hands on what came before an error, then the error with its details and trailer', async () => {
    const { client } = await serving({
      async *Logs(_request, { setTrailer }) {
        yield { data: Buffer.from('ä') };
        setTrailer('gantry-leader', '10.0.0.1:1');
        throw new GantryError('outOfRange', 'too old — compacted', { details: ['spec.a: ü', 'spec.b'] });
      },
    });
    const seen: string[] = [];
    const failed = (async () => {
      for await (const { data } of client.client('Agent').Logs({})) seen.push(Buffer.from(data!).toString());
    })();
    const error = await failed.catch((caught: unknown) => caught as RpcError);
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toMatchObject({
      code: 'outOfRange',
      message: 'too old — compacted',
      details: ['spec.a: ü', 'spec.b'],
      trailer: { 'gantry-leader': '10.0.0.1:1' },
    });
    expect(seen).toEqual(['ä']);
  });

  it('tells the handler of a client that goes away, and its reading ends', async () => {
    const aborted = Promise.withResolvers<unknown>();
    const read = Promise.withResolvers<void>();
    const { client } = await serving({
      async *Exec(requests, { signal }): AsyncGenerator<ExecResponse> {
        signal.addEventListener('abort', () => aborted.resolve(signal.reason));
        yield {};
        try {
          for await (const _ of requests);
        } finally {
          read.resolve();
        }
      },
    });
    const leaving = new AbortController();
    const questions = new Outgoing<ExecRequest>();
    const answers = client.client('Agent').Exec(questions, { signal: leaving.signal })[Symbol.asyncIterator]();
    await answers.next();
    leaving.abort(new Error('enough'));
    expect(await aborted.promise).toMatchObject({ code: 'cancelled' });
    await read.promise;
  });

  it('ends a call whose deadline passes', async () => {
    const aborted = Promise.withResolvers<unknown>();
    const { client } = await serving({
      async *Logs(_request, { signal }) {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        aborted.resolve(signal.reason);
      },
    });
    const answers = client.client('Agent').Logs({}, { deadlineMs: 200 });
    await expect(answers[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'deadlineExceeded' });
    expect(await aborted.promise).toMatchObject({ code: 'cancelled' });
  });

  it('refuses before the handler, and answers bytes that are no request', async () => {
    const rpc = await rpcServer(
      start,
      { Agent: {} as AgentHandlers },
      {
        authorize({ method, peer }) {
          throw new GantryError('permissionDenied', `${peer.commonName} may not ${method}`);
        },
      },
    );
    onTestFinished(rpc.end);
    const client = await rpc.connectAs('eve', 'viewer');
    const { Exec, Logs } = client.client('Agent');
    const denied = (method: string): object => ({ code: 'permissionDenied', message: `eve may not ${method}` });
    await expect(Logs({})[Symbol.asyncIterator]().next()).rejects.toMatchObject(denied('Logs'));
    const never = new Outgoing<ExecRequest>();
    await expect(Exec(never)[Symbol.asyncIterator]().next()).rejects.toMatchObject(denied('Exec'));
  });

  it('ends streams when it stops, and says why', async () => {
    const { client, server } = await serving({
      async *Logs(_request, { signal }) {
        yield {};
        await new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
    });
    const answers = client.client('Agent').Logs({})[Symbol.asyncIterator]();
    await answers.next();
    const rest = answers.next();
    const stopped = server.stop(2_000);
    await expect(rest).rejects.toMatchObject({ code: 'unavailable', message: 'the server is stopping' });
    await stopped;
  });
});

function numbered(value: number): Buffer {
  const bytes = Buffer.alloc(chunkBytes);
  bytes.writeUInt32BE(value);
  return bytes;
}

function numberIn(bytes: Uint8Array | undefined): number {
  return Buffer.from(bytes!).readUInt32BE();
}

/** Until a figure stands still for some turns: as far as it goes. */
async function settled(figure: () => number): Promise<void> {
  let last = -1;
  for (let still = 0; still < 20; still = figure() === last ? still + 1 : 0) {
    last = figure();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
