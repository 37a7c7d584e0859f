/** What a gRPC server is told, and what it serves besides: the same whether its connections are in this thread or another. */
import type { MethodDefinition } from '@grpc/grpc-js';
import type { Log } from '../log.ts';
import { createHealth, type Health } from './health.ts';
import { type Authorize, type Handlers, OpenCalls, type ServedMethod } from './serve-call.ts';
import { fullServiceName, methodKind, type ServiceName, serviceDefinition } from './service.ts';
import type { ReloadableTls } from './tls.ts';

export interface ServerOptions {
  /** host:port; port 0 takes a free one. */
  readonly listen: string;
  readonly tls: ReloadableTls;
  /** Mutual TLS; false only for the join port. */
  readonly requireClientCertificate: boolean;
  readonly services: { readonly [S in ServiceName]?: Handlers<S> };
  /** Throws a GantryError (permissionDenied, unauthenticated) to refuse. Health and reflection are always open. */
  readonly authorize?: Authorize;
  readonly log: Log;
}

export interface RunningServer {
  readonly port: number;
  setServing(serving: boolean): void;
  /** Resolves when the handlers have been given what had reached this machine before. */
  drained(): Promise<void>;
  /** Lets calls finish for `graceMs`, then ends them. */
  stop(graceMs: number): Promise<void>;
}

export interface DefinedMethod extends ServedMethod {
  readonly definition: MethodDefinition<object, object>;
}

export interface Served {
  readonly methods: readonly DefinedMethod[];
  /** Names of the services that reflection tells of. */
  readonly described: readonly string[];
  readonly calls: OpenCalls;
  readonly health: Health;
}

export function servedBy({ services, authorize, log }: ServerOptions): Served {
  const calls = new OpenCalls();
  const health = createHealth();
  const of = (service: ServiceName, handlers: object, authorized: Authorize | undefined): DefinedMethod[] =>
    Object.entries(serviceDefinition(service)).map(([method, definition]) => ({
      service,
      method,
      kind: methodKind(definition),
      definition,
      handler: (handlers as Record<string, DefinedMethod['handler']>)[method]!,
      authorize: authorized,
      calls,
      log,
    }));
  const names = Object.keys(services) as ServiceName[];
  return {
    methods: [
      ...names.flatMap((name) => of(name, services[name]!, authorize)),
      ...of('Health', health.handlers, undefined),
    ],
    described: [...names, 'Health' as const].map(fullServiceName),
    calls,
    health,
  };
}
