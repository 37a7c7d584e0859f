/**
 * One member of an etcd cluster as a client sees it: its connection, and whoever waits for it just now, so that all of
 * them can be told at once when it is found to have stopped answering.
 *
 * etcd3's own retries, circuit breaker and message limit are off, because they apply writes twice, block healthy calls
 * and skip events.
 */
import { Etcd3, type IOptions } from 'etcd3';
import type { EtcdTls } from './etcd-client.ts';

/** In the certificate of every etcd of ours. */
export const etcdServerName = 'etcd.gantry.internal';

export class EtcdEndpoint {
  readonly address: string;
  readonly client: Etcd3;
  readonly #waiting = new Set<(error: Error) => void>();

  constructor(address: string, tls: EtcdTls | undefined) {
    this.address = address;
    this.client = connect(address, tls);
  }

  /** Whether anybody waits for it. */
  get isInUse(): boolean {
    return this.#waiting.size > 0;
  }

  /** Calls back when the member is found to be gone, until the returned function is called. */
  onGone(callback: (error: Error) => void): () => void {
    this.#waiting.add(callback);
    return () => this.#waiting.delete(callback);
  }

  /** The call's outcome; or, when the member is found to be gone first, an error that says so. */
  untilGone<T>(call: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const forget = this.onGone(reject);
      call.then(resolve, reject).finally(forget);
    });
  }

  /** Everybody who waits for the member stops waiting. It may be used again at once. */
  declareGone(reason: string): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    // The form of grpc's own errors, by which callers tell what may be repeated.
    for (const tell of waiting) tell(new Error(`14 UNAVAILABLE: ${this.address} ${reason}`));
  }

  close(): void {
    this.client.close();
  }
}

const { signal: never } = new AbortController();

/** etcd3 wants cockatiel policies; this one does nothing but run the call. */
const noFaultHandling = {
  execute: async (run: (context: { signal: AbortSignal }) => unknown) => run({ signal: never }),
} as unknown as NonNullable<NonNullable<IOptions['faultHandling']>['global']>;

const isIpAddress = (host: string): boolean => /^[\d.]+$|^\[/.test(host);

function connect(address: string, tls: EtcdTls | undefined): Etcd3 {
  const host = address.replace(/:\d+$/, '');
  const serverName = tls?.serverName ?? (isIpAddress(host) ? etcdServerName : host);
  return new Etcd3({
    hosts: address,
    ...(tls && {
      credentials: {
        rootCertificate: Buffer.from(tls.ca),
        certChain: Buffer.from(tls.cert),
        privateKey: Buffer.from(tls.key),
      },
    }),
    faultHandling: { global: noFaultHandling, host: () => noFaultHandling },
    grpcOptions: {
      ...(tls && { 'grpc.ssl_target_name_override': serverName }),
      'grpc.enable_channelz': 0,
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc-node.flow_control_window': 8 * 2 ** 20, // a batch of thousands of events is on its way at once
      'grpc.keepalive_time_ms': 5000, // etcd ends connections that ask more often
      'grpc.keepalive_timeout_ms': 5000, // we may have stood still ourselves; whether a member lives, etcd-health.ts asks
      'grpc.enable_retries': 0,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1000,
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
    },
  });
}
