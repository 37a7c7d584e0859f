/** grpc.health.v1: what load balancers and `grpc_health_probe` ask. */
import type { HealthCheckResponse } from '../../proto/gen/types.ts';
import type { CallContext, Handlers } from './serve-call.ts';

export const serving = 1;
const notServing = 2;

export interface Health {
  readonly handlers: Handlers<'Health'>;
  setServing(serving: boolean): void;
}

export function createHealth(): Health {
  let status = notServing;
  let wake: (() => void)[] = [];
  const changed = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      wake.push(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  async function* watch(_request: object, { signal }: CallContext): AsyncGenerator<HealthCheckResponse> {
    while (!signal.aborted) {
      yield { status };
      await changed(signal);
    }
  }
  return {
    handlers: { Check: async () => ({ status }), Watch: watch },
    setServing(value) {
      status = value ? serving : notServing;
      const woken = wake;
      wake = [];
      for (const resolve of woken) resolve();
    },
  };
}
