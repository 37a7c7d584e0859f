/**
 * lib/rpc without sockets: the same handlers, the same messages through the same codec, the same errors. A call is a
 * connection of its own with a pipe each way; it breaks when a process dies, when keepalive gives up, or by chance.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { GantryError } from '../../lib/errors.ts';
import type { Peer } from '../../lib/rpc/peer.ts';
import { type Methods, type ServiceName, serviceDefinition } from '../../lib/rpc/service.ts';
import type { Network } from './network.ts';
import type { SimProcess } from './process.ts';
import { type AnyMethod, Call, type SimServer } from './rpc-call.ts';

export interface CallOptions {
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

const defaultDeadlineMs = 10_000;
const latestRepeatMs = 2_000;

const definitions = new Map<ServiceName, ReturnType<typeof serviceDefinition>>();
function methodOf(service: ServiceName, method: string): AnyMethod {
  let definition = definitions.get(service);
  if (!definition) {
    definition = serviceDefinition(service);
    definitions.set(service, definition);
  }
  return definition[method]!;
}

export class Rpc {
  readonly network: Network;
  /** Share of single calls that are made a second time a little later, the second answer heard by nobody. */
  repeatedShare = 0;
  readonly #servers = new Map<string, SimServer>();
  readonly #calls = new Set<Call>();
  /** What no GantryError explains: a handler's bug. */
  readonly #onUnexpected: (error: unknown) => void;

  constructor(network: Network, onUnexpected: (error: unknown) => void) {
    this.network = network;
    this.#onUnexpected = onUnexpected;
    network.onSilence((a, b) => {
      for (const call of [...this.#calls]) {
        const hosts = [call.client.host, call.serverHost];
        if (hosts.includes(a) && hosts.includes(b)) call.breakBoth('keepalive: the other side is silent');
      }
    });
  }

  serve(address: string, server: SimServer): void {
    this.#servers.set(address, server);
    server.process.onKill(() => {
      if (this.#servers.get(address) === server) this.#servers.delete(address);
    });
  }

  server(address: string): SimServer | undefined {
    return this.#servers.get(address);
  }

  /** A connection picked by chance is reset. */
  resetOne(choose: <T>(items: readonly T[]) => T): void {
    const calls = [...this.#calls];
    if (calls.length > 0) choose(calls).breakBoth('connection reset');
  }

  async unary<S extends ServiceName, M extends keyof Methods<S> & string>(
    client: SimProcess,
    peer: Peer,
    address: string,
    service: S,
    method: M,
    request: object,
    options: CallOptions = {},
  ): Promise<Methods<S>[M] extends { response: infer Response } ? Response : never> {
    const stop = new AbortController();
    const timer = client.clock.schedule(options.deadlineMs ?? defaultDeadlineMs, () =>
      stop.abort(new GantryError('deadlineExceeded', `${method} was not answered in time`)),
    );
    const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
    const { world } = client;
    if (this.repeatedShare > 0 && world.chance(this.repeatedShare)) {
      const repeat = AsyncLocalStorage.bind(() => this.#repeat(client, peer, address, service, method, request));
      world.after(world.between(0, latestRepeatMs), () => client.post(repeat));
    }
    try {
      for await (const response of this.stream(client, peer, address, service, method, request, { signal })) {
        return response as never;
      }
      throw new GantryError('internal', 'the call ended without an answer');
    } finally {
      timer.cancel();
    }
  }

  #repeat(...call: [SimProcess, Peer, string, ServiceName, string, object]): void {
    const again = async (): Promise<void> => {
      for await (const _answer of this.stream(...call, {})) return;
    };
    again().catch((error: unknown) => {
      if (!(error instanceof GantryError)) throw error;
    });
  }

  async *stream(
    client: SimProcess,
    peer: Peer,
    address: string,
    service: ServiceName,
    method: string,
    input: unknown,
    { signal }: CallOptions,
  ): AsyncGenerator<object> {
    signal?.throwIfAborted();
    const call = new Call(this.network, client, address.split(':')[0]!, methodOf(service, method), () =>
      this.#calls.delete(call),
    );
    this.#calls.add(call);
    const cancel = (): void => call.cancel(signal?.reason);
    signal?.addEventListener('abort', cancel, { once: true });
    call.connect(() => this.#servers.get(address), service, method, peer, input, this.#onUnexpected);
    try {
      yield* call.responses();
    } finally {
      signal?.removeEventListener('abort', cancel);
      call.cancel(new GantryError('cancelled', 'the client has left the call'));
    }
  }
}
