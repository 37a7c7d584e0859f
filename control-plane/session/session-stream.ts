/**
 * One agent's session: what it sends is taken in as it comes, what it is to be told is made when it can be sent.
 *
 * Nothing is queued for a slow agent: of acknowledgements only the newest counts, and a slice difference is computed
 * against what was sent last, at the moment the stream takes the next message. A slow agent gets fewer and larger
 * differences, never an old one.
 */
import { GantryError } from '../../lib/errors.ts';
import { keyOf } from '../../lib/model/keys.ts';
import type {
  KubeObject,
  PodStats,
  SessionDown,
  SessionHello,
  SessionUp,
  StatusBatch,
  UsageWanted,
  Welcome,
} from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';
import { completeMessage, concerns, differenceMessage, sliceDifference, sliceOf } from './slice.ts';

/** What a session asks of the leader. */
export interface SessionHost {
  readonly snapshot: Snapshot;
  /** The node has been heard; false when the heartbeat must not be acknowledged (the term is over). */
  heard(nodeName: string): boolean;
  /** Resolves when all of it is durable. */
  writeStatus(nodeName: string, batch: StatusBatch): Promise<void>;
  /** What the pods use that the agent was asked for. */
  usage?(nodeName: string, pods: readonly PodStats[]): void;
}

/** An agent keeps one batch outstanding; one that sends many more is broken. */
const mostWaitingBatches = 4;

export class SessionStream {
  readonly nodeName: string;
  readonly machineID: string;
  readonly #host: SessionHost;
  #welcome: Welcome | undefined;
  #heartbeatAck: number | undefined;
  #statusAck: number | undefined;
  #servers: readonly string[] | undefined;
  #usageWanted: UsageWanted | undefined;
  /** Undefined: the complete slice is still to be sent. */
  #sent: Map<string, KubeObject> | undefined;
  #touched = new Set<string>();
  readonly #batches: StatusBatch[] = [];
  #ended: { readonly error?: unknown } | undefined;
  #wake: () => void = () => {};

  constructor(hello: SessionHello, nodeName: string, host: SessionHost) {
    this.nodeName = nodeName;
    this.machineID = hello.node?.status?.nodeInfo?.machineID ?? '';
    this.#host = host;
  }

  /** The answer to hello; the complete slice follows it. */
  welcome(message: Welcome): void {
    this.#welcome = message;
    this.#wake();
  }

  /** Where the agent can turn when this control plane is gone. */
  servers(addresses: readonly string[]): void {
    this.#servers = addresses;
    this.#wake();
  }

  /** Of which pods the agent should report what they use. */
  wantUsage(wanted: UsageWanted): void {
    this.#usageWanted = wanted;
    this.#wake();
  }

  /** A write that this agent may have to learn of. */
  touch(key: string, objects: readonly (KubeObject | undefined)[]): void {
    if (!objects.some((object) => object && concerns(this.nodeName, object))) return;
    this.#touched.add(key);
    this.#wake();
  }

  /** With an error: the agent is told why. */
  end(error?: unknown): void {
    this.#ended ??= error === undefined ? {} : { error };
    this.#wake();
  }

  /** Takes in everything the agent says after its hello. */
  async receive(requests: AsyncIterator<SessionUp>): Promise<void> {
    try {
      for (let next = await requests.next(); !next.done && !this.#ended; next = await requests.next()) {
        this.#take(next.value);
      }
      this.end();
    } catch (error) {
      this.end(error);
    }
  }

  async *send(): AsyncGenerator<SessionDown> {
    for (;;) {
      if (this.#ended) {
        if (this.#ended.error !== undefined) throw this.#ended.error;
        return;
      }
      const message = this.#nextMessage();
      if (message) yield message;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #take({ heartbeat, status, usage }: SessionUp): void {
    if (usage) this.#host.usage?.(this.nodeName, usage.pods ?? []);
    if (heartbeat && this.#host.heard(this.nodeName)) {
      this.#heartbeatAck = heartbeat.sequence ?? 0;
      this.#wake();
    }
    if (!status) return;
    if (this.#batches.length >= mostWaitingBatches) {
      throw new GantryError('resourceExhausted', 'send the next status batch when the one before is acknowledged');
    }
    this.#batches.push(status);
    if (this.#batches.length === 1) void this.#writeBatches();
  }

  async #writeBatches(): Promise<void> {
    try {
      for (let batch = this.#batches[0]; batch && !this.#ended; batch = this.#batches[0]) {
        await this.#host.writeStatus(this.nodeName, batch);
        this.#batches.shift();
        this.#statusAck = batch.sequence ?? 0;
        this.#wake();
      }
    } catch (error) {
      this.end(error);
    }
  }

  /** Acknowledgements before slices: a lease must not wait behind bulk. */
  #nextMessage(): SessionDown | undefined {
    if (this.#welcome) {
      const message = { welcome: this.#welcome };
      this.#welcome = undefined;
      return message;
    }
    if (this.#heartbeatAck !== undefined) {
      const message = { heartbeatAck: { sequence: this.#heartbeatAck } };
      this.#heartbeatAck = undefined;
      return message;
    }
    if (this.#statusAck !== undefined) {
      const message = { statusAck: { sequence: this.#statusAck } };
      this.#statusAck = undefined;
      return message;
    }
    if (this.#servers) {
      const message = { servers: { addresses: [...this.#servers] } };
      this.#servers = undefined;
      return message;
    }
    return this.#nextSlice() ?? this.#nextUsageWanted();
  }

  /** After the slice: the agent then knows the pods. */
  #nextUsageWanted(): SessionDown | undefined {
    const usageWanted = this.#usageWanted;
    this.#usageWanted = undefined;
    return usageWanted && { usageWanted };
  }

  #nextSlice(): SessionDown | undefined {
    const { snapshot } = this.#host;
    if (!this.#sent) {
      this.#sent = sliceOf(snapshot, this.nodeName);
      this.#touched.clear();
      return { slice: completeMessage(this.#sent, snapshot.revision) };
    }
    if (this.#touched.size === 0) return undefined;
    const difference = sliceDifference(snapshot, this.nodeName, this.#sent, this.#touched);
    this.#touched = new Set();
    for (const object of difference.changed) this.#sent.set(keyOf(object), object);
    for (const object of difference.removed) this.#sent.delete(keyOf(object));
    const slice = differenceMessage(difference, snapshot.revision);
    return slice && { slice };
  }
}
