import { once } from 'node:events';
import { type ClientHttp2Session, connect, createServer, type ServerHttp2Stream } from 'node:http2';
import { duplexPair } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { releaseClosedStreams } from '../../../../lib/rpc/closed-streams.ts';

/** Over a pair of streams, without a socket; the server answers 'hello' and hands its streams to `onStream`. */
function session(onStream: (stream: ServerHttp2Stream) => void): ClientHttp2Session {
  const [near, far] = duplexPair();
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream) => {
    onStream(stream);
    stream.respond({ ':status': 200 });
    stream.end('hello');
  });
  server.emit('connection', far);
  const client = connect('http://localhost', { createConnection: () => near });
  onTestFinished(() => client.destroy());
  return client;
}

const closed = async (stream: ServerHttp2Stream): Promise<void> => {
  if (!stream.destroyed) await once(stream, 'close');
};

test('a stream that has closed holds no listener of the call, on either side, and all was heard before', async () => {
  onTestFinished(releaseClosedStreams());
  const heard: string[] = [];
  const served = Promise.withResolvers<ServerHttp2Stream>();
  const client = session((stream) => {
    served.resolve(stream);
    stream.on('close', () => heard.push('closed at the server'));
  });
  const stream = client.request({ ':path': '/' });
  stream.setEncoding('utf8');
  stream.on('data', (text) => heard.push(String(text)));
  stream.on('end', () => heard.push('end'));
  stream.on('close', () => heard.push('close'));
  await Promise.all([once(stream, 'close'), served.promise.then(closed)]);
  expect(heard).toEqual(expect.arrayContaining(['hello', 'end', 'close', 'closed at the server']));
  for (const side of [stream, await served.promise]) {
    for (const event of ['data', 'end', 'close']) expect(side.listenerCount(event), event).toBe(0);
    expect(() => side.emit('error', new Error('late'))).not.toThrow();
  }
});
