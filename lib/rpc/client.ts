/** gRPC clients: typed by the schema, errors as GantryError, a deadline on every unary call, no hidden retries. */
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  connectivityState,
  type MethodDefinition,
} from '@grpc/grpc-js';
import { systemClock } from '../clock.ts';
import { Inbox } from './inbox.ts';
import { controlPlaneServerName } from './server-name.ts';
import { type Methods, methodKind, type ServiceName, serviceDefinition } from './service.ts';
import { fromServiceError } from './status.ts';
import { drain } from './streams.ts';
import { clientCredentials, type ReloadableTls } from './tls.ts';

export interface ConnectOptions {
  /** host:port */
  readonly address: string;
  /** With a certificate of one's own (mutual TLS), or only the CA (joining). */
  readonly tls: ReloadableTls | { readonly caPem: string };
  /** DNS name to expect in the server's certificate (server-name.ts). Default: the control plane's. */
  readonly serverName?: string;
}

export interface CallOptions {
  /** Default 10,000 for unary calls; streams have none unless given. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

type Method<M> = M extends { kind: infer K; request: infer Request; response: infer Response }
  ? K extends 'unary'
    ? (request: Request, options?: CallOptions) => Promise<Response>
    : K extends 'serverStream'
      ? (request: Request, options?: CallOptions) => AsyncIterable<Response>
      : (requests: AsyncIterable<Request>, options?: CallOptions) => AsyncIterable<Response>
  : never;

export type ServiceClient<S extends ServiceName> = { readonly [M in keyof Methods<S>]: Method<Methods<S>[M]> };

export interface Connection {
  client<S extends ServiceName>(service: S): ServiceClient<S>;
  /** `failed`: a call will say why. `silent`: nobody answered within the time, and calls would wait for their deadline. */
  reach(withinMs: number): Promise<'connected' | 'failed' | 'silent'>;
  close(): void;
}

const channelOptions = {
  'grpc.enable_channelz': 0, // statistics for nobody, at every message
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  // HTTP/2's own 64 KB are a dozen objects or so on the way; what a client that stands still may keep from us, too.
  'grpc-node.flow_control_window': 512 * 1024,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.enable_retries': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // One process may hold connections with different certificates to the same address.
  'grpc.use_local_subchannel_pool': 1,
};

const defaultDeadlineMs = 10_000;

export function connect({ address, tls, serverName = controlPlaneServerName }: ConnectOptions): Connection {
  const client = new Client(address, clientCredentials(tls), {
    ...channelOptions,
    'grpc.ssl_target_name_override': serverName,
  });
  return {
    client: <S extends ServiceName>(service: S) =>
      Object.fromEntries(
        Object.entries(serviceDefinition(service)).map(([name, definition]) => [name, bindMethod(client, definition)]),
      ) as unknown as ServiceClient<S>,
    reach: (withinMs) => reach(client, withinMs),
    close: () => client.close(),
  };
}

function reach(client: Client, withinMs: number): Promise<'connected' | 'failed' | 'silent'> {
  const channel = client.getChannel();
  const deadline = deadlineIn(withinMs);
  return new Promise((resolve) => {
    const look = (): void => {
      const state = channel.getConnectivityState(true);
      const isOver = state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN;
      if (state === connectivityState.READY) resolve('connected');
      else if (isOver) resolve('failed');
      else channel.watchConnectivityState(state, deadline, (error) => (error ? resolve('silent') : look()));
    };
    look();
  });
}

function bindMethod(client: Client, method: MethodDefinition<object, object>): unknown {
  const kind = methodKind(method);
  if (kind === 'unary') return (request: object, options?: CallOptions) => unary(client, method, request, options);
  return (input: unknown, options: CallOptions = {}) => stream(client, method, kind === 'bidi', input, options);
}

function unary(
  client: Client,
  method: MethodDefinition<object, object>,
  request: object,
  { deadlineMs = defaultDeadlineMs, signal }: CallOptions = {},
): Promise<object> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const cancel = (): void => call.cancel();
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize as (value: object) => Buffer,
      method.responseDeserialize as (bytes: Buffer) => object,
      request,
      { deadline: deadlineIn(deadlineMs) },
      (error, response) => {
        signal?.removeEventListener('abort', cancel);
        if (error) reject(signal?.aborted ? signal.reason : fromServiceError(error));
        else resolve(response!);
      },
    );
    signal?.addEventListener('abort', cancel, { once: true });
  });
}

async function* stream(
  client: Client,
  method: MethodDefinition<object, object>,
  bidi: boolean,
  input: unknown,
  { deadlineMs, signal }: CallOptions,
): AsyncGenerator<object> {
  signal?.throwIfAborted();
  const callOptions = deadlineMs === undefined ? {} : { deadline: deadlineIn(deadlineMs) };
  const serialize = method.requestSerialize as (value: object) => Buffer;
  const deserialize = method.responseDeserialize as (bytes: Buffer) => object;
  const call = bidi
    ? client.makeBidiStreamRequest(method.path, serialize, deserialize, callOptions)
    : client.makeServerStreamRequest(method.path, serialize, deserialize, input as object, callOptions);
  const ended = new AbortController();
  const cancel = (): void => call.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  if (bidi) void send(input as AsyncIterable<object>, call as ClientDuplexStream<object, object>, ended.signal);
  try {
    yield* new Inbox<object>(call as ClientReadableStream<object>, ended.signal);
  } catch (error) {
    throw signal?.aborted ? signal.reason : fromServiceError(error);
  } finally {
    signal?.removeEventListener('abort', cancel);
    ended.abort();
    call.on('error', () => {}); // cancelling reports an error to nobody
    call.cancel();
  }
}

/** Sends until the input ends or the call does; a failing input cancels the call. */
async function send(
  input: AsyncIterable<object>,
  call: ClientDuplexStream<object, object>,
  ended: AbortSignal,
): Promise<void> {
  try {
    await drain(input, call, ended);
    call.end();
  } catch {
    if (!ended.aborted) call.cancel();
  }
}

function deadlineIn(ms: number): Date {
  return new Date(systemClock.nowMs() + ms);
}
