/** A lab's API spoken in process: what a test asks again and again must not cost a new ctl each time. */
import { readConfig } from '../../cli/config.ts';
import { systemClock } from '../../lib/clock.ts';
import { isGantryError } from '../../lib/errors.ts';
import { fromEnvelope, toEnvelope } from '../../lib/model/codec.ts';
import { conditionStatus } from '../../lib/model/conditions.ts';
import { isPodReady } from '../../lib/model/pods.ts';
import type { Kind } from '../../lib/model/schema.ts';
import type { RunResult } from '../../lib/process.ts';
import { type Connection, connect, type ServiceClient } from '../../lib/rpc/client.ts';
import { ReloadableTls } from '../../lib/rpc/tls.ts';
import type { Event, KindMap, KubeObject, Pod } from '../../proto/gen/types.ts';

export interface ListOptions {
  /** Default "default"; empty for all. */
  readonly namespace?: string;
  /** app=echo */
  readonly selector?: string;
  /** spec.nodeName=node-1 */
  readonly fields?: string;
}

/** One change that a watch told, in the order of the store's revisions. */
export interface Seen<K extends Kind> {
  readonly type: string;
  readonly object: KindMap[K];
  /** Wall clock. */
  readonly atMs: number;
}

export interface Watching<K extends Kind> {
  /** Everything told so far; it grows. */
  readonly seen: readonly Seen<K>[];
  /** Ends the watch; rejects when it broke before. */
  stop(): Promise<void>;
}

export class Api {
  readonly cluster: ServiceClient<'Cluster'>;
  readonly #connection: Connection;

  constructor(configFile: string) {
    const { servers, caCertificate, clientCertificate, clientKey } = readConfig(configFile);
    const tls = new ReloadableTls({ caPem: caCertificate, certPem: clientCertificate, keyPem: clientKey });
    this.#connection = connect({ address: servers[0]!, tls });
    this.cluster = this.#connection.client('Cluster');
  }

  close(): void {
    this.#connection.close();
  }

  async apply(object: KubeObject): Promise<void> {
    await this.cluster.Apply({ object: toEnvelope(object), fieldManager: 'e2e' });
  }

  async get<K extends Kind>(kind: K, name: string, namespace = 'default'): Promise<KindMap[K]> {
    const { object } = await this.cluster.Get({ kind, namespace, name });
    return fromEnvelope(object) as KindMap[K];
  }

  async find<K extends Kind>(kind: K, name: string, namespace = 'default'): Promise<KindMap[K] | undefined> {
    try {
      return await this.get(kind, name, namespace);
    } catch (error) {
      if (isGantryError(error, 'notFound')) return undefined;
      throw error;
    }
  }

  async list<K extends Kind>(kind: K, options: ListOptions = {}): Promise<KindMap[K][]> {
    const { namespace = 'default', selector = '', fields = '' } = options;
    const { items = [] } = await this.cluster.List({
      kind,
      namespace: kind === 'Node' || kind === 'Namespace' ? '' : namespace,
      labelSelector: selector,
      fieldSelector: fields,
    });
    return items.map((item) => fromEnvelope(item) as KindMap[K]);
  }

  /** Ready, and not on their way out. */
  async readyPods(selector: string): Promise<Pod[]> {
    const pods = await this.list('Pod', { selector });
    return pods.filter((pod) => isPodReady(pod) && pod.metadata.deletionTimestamp === undefined);
  }

  async isNodeReady(name: string): Promise<boolean> {
    const node = await this.get('Node', name);
    return conditionStatus(node.status?.conditions, 'Ready') === 'True';
  }

  /** Events about the object, as "Reason: message". */
  async events(name: string, namespace = 'default'): Promise<string[]> {
    const events: Event[] = await this.list('Event', { namespace, fields: `involvedObject.name=${name}` });
    return events.map(({ reason, message }) => `${reason}: ${message}`);
  }

  /** Ready addresses of the service, sorted. */
  async endpoints(service: string): Promise<string[]> {
    const slices = await this.list('EndpointSlice', { selector: `kubernetes.io/service-name=${service}` });
    return slices
      .flatMap(({ endpoints = [] }) => endpoints)
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ addresses = [] }) => addresses)
      .sort();
  }

  async exec(pod: string, command: readonly string[], container = ''): Promise<RunResult> {
    const start = { namespace: 'default', pod, container, command: [...command] };
    const output = { stdout: '', stderr: '' };
    for await (const message of this.cluster.Exec(once({ start }), { deadlineMs: 60_000 })) {
      if (message.stdout) output.stdout += Buffer.from(message.stdout).toString();
      if (message.stderr) output.stderr += Buffer.from(message.stderr).toString();
      if (message.exitCode !== undefined) return { ...output, exitCode: message.exitCode };
    }
    throw new Error(`exec in ${pod} ended without an exit code`);
  }

  /** A script in a pod's shell that must succeed; its output without the last line end. */
  async shell(pod: string, script: string, container = ''): Promise<string> {
    const { exitCode, stdout, stderr } = await this.exec(pod, ['sh', '-c', script], container);
    if (exitCode === 0) return stdout.trimEnd();
    throw new Error(`in ${pod}: ${script}: exit status ${exitCode}\n${stdout}${stderr}`);
  }

  async logs(pod: string, options: { timestamps?: boolean } = {}): Promise<string[]> {
    let text = '';
    for await (const { data } of this.cluster.Logs({ namespace: 'default', pod, ...options }, { deadlineMs: 60_000 })) {
      if (data) text += Buffer.from(data).toString();
    }
    return text.split('\n').filter(Boolean);
  }

  /** Returns once all that exists has been told. */
  async watch<K extends Kind>(kind: K, options: ListOptions = {}): Promise<Watching<K>> {
    const { namespace = 'default', selector = '', fields = '' } = options;
    const stop = new AbortController();
    const seen: Seen<K>[] = [];
    const told = Promise.withResolvers<void>();
    const request = { kind, namespace, labelSelector: selector, fieldSelector: fields };
    const run = async (): Promise<void> => {
      for await (const { type = '', object } of this.cluster.Watch(request, { signal: stop.signal })) {
        if (type === 'BOOKMARK') told.resolve();
        else seen.push({ type, object: fromEnvelope(object) as KindMap[K], atMs: systemClock.nowMs() });
      }
    };
    const ended = run().catch((error) => {
      told.reject(error);
      if (!stop.signal.aborted) throw error;
    });
    ended.catch(() => {}); // told by `stop`
    await told.promise;
    return {
      seen,
      stop: () => {
        stop.abort(new Error('stopped'));
        return ended;
      },
    };
  }
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}
