/**
 * One agent's session: what it sends is taken in as it comes, what it is to be told is made when it can be sent.
 *
 * Nothing is queued for a slow agent: of acknowledgements only the newest counts, and a slice difference is computed
 * against what was sent last, at the moment the stream takes the next message. A slow agent gets fewer and larger
 * differences, never an old one.
 */
import { GantryError } from '../../lib/errors.ts';
import type { Outgoing } from '../../lib/rpc/outgoing.ts';
import type {
  PodStats,
  RemoveVolumes,
  SessionDown,
  SessionHello,
  SessionUp,
  StatusBatch,
  UsageWanted,
  Welcome,
} from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';
import type { SharedSlice } from './shared-slice.ts';
import { SliceFeed } from './slice-feed.ts';

/** What a session asks of the leader. */
export interface SessionHost {
  readonly snapshot: Snapshot;
  readonly shared: SharedSlice;
  /** The node has been heard; false when the heartbeat must not be acknowledged (the term is over). */
  heard(nodeName: string): boolean;
  /** Milliseconds between two beats of a node, as things are. */
  paceMs(): number;
  /** Resolves when all of it is durable. */
  writeStatus(nodeName: string, batch: StatusBatch): Promise<void>;
  /** What the pods use that the agent was asked for. */
  usage?(nodeName: string, pods: readonly PodStats[]): void;
  /** Nothing is left of these volumes. */
  volumesRemoved?(nodeName: string, paths: readonly string[]): void;
}

/** An agent keeps one batch outstanding; one that sends many more is broken. */
const mostWaitingBatches = 4;

export class SessionStream {
  readonly nodeName: string;
  readonly machineID: string;
  /** Of the Node that it was admitted for; undefined before that. */
  nodeUID: string | undefined;
  readonly #host: SessionHost;
  readonly #outgoing: Outgoing<SessionDown>;
  readonly #over = Promise.withResolvers<void>();
  #welcome: Welcome | undefined;
  #heartbeatAck: number | undefined;
  /** What the agent was told last. */
  #paceMs: number | undefined;
  #statusAck: number | undefined;
  #servers: readonly string[] | undefined;
  #usageWanted: UsageWanted | undefined;
  #removeVolumes: RemoveVolumes | undefined;
  readonly #slice: SliceFeed;
  readonly #batches: StatusBatch[] = [];
  #isOver = false;

  constructor(hello: SessionHello, nodeName: string, host: SessionHost, outgoing: Outgoing<SessionDown>) {
    this.nodeName = nodeName;
    this.machineID = hello.node?.status?.nodeInfo?.machineID ?? '';
    this.#host = host;
    this.#outgoing = outgoing;
    this.#over.promise.catch(() => {}); // whoever opened the session may have failed before
    const { snapshot, shared } = host;
    const known = hello.shared;
    const inParts = hello.slicesInParts === true;
    this.#slice = new SliceFeed({ nodeName, snapshot, shared, inParts, ...(known && { known }) });
  }

  /** The answer to hello; the complete slice follows it. */
  welcome(message: Welcome): void {
    this.#welcome = message;
    this.#paceMs = message.heartbeatMs;
    this.#outgoing.from(() => this.#nextMessage());
  }

  /** Where the agent can turn when this control plane is gone. */
  servers(addresses: readonly string[]): void {
    this.#servers = addresses;
    this.#outgoing.wake();
  }

  /** Of which pods the agent should report what they use. */
  wantUsage(wanted: UsageWanted): void {
    this.#usageWanted = wanted;
    this.#outgoing.wake();
  }

  /** Volumes whose data is to go. */
  removeVolumes(wanted: RemoveVolumes): void {
    this.#removeVolumes = wanted;
    this.#outgoing.wake();
  }

  /** A write that this agent has to learn of. */
  touch(key: string): void {
    this.#slice.touch(key);
    this.#outgoing.wake();
  }

  /** There is something new for everyone. */
  wake(): void {
    this.#outgoing.wake();
  }

  /** With an error: the agent is told why. */
  end(error?: unknown): void {
    this.#isOver = true;
    if (error === undefined) this.#over.resolve();
    else this.#over.reject(error);
  }

  /** Takes in everything the agent says after its hello. */
  async receive(requests: AsyncIterator<SessionUp>): Promise<void> {
    try {
      for (let next = await requests.next(); !next.done && !this.#isOver; next = await requests.next()) {
        this.#take(next.value);
      }
      this.end();
    } catch (error) {
      this.end(error);
    }
  }

  /** Resolves when it has ended in order, and rejects with why it ended otherwise. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  #take({ heartbeat, status, usage, volumesRemoved }: SessionUp): void {
    if (volumesRemoved) this.#host.volumesRemoved?.(this.nodeName, volumesRemoved.paths ?? []);
    if (usage) this.#host.usage?.(this.nodeName, usage.pods ?? []);
    if (heartbeat && this.#host.heard(this.nodeName)) {
      this.#heartbeatAck = heartbeat.sequence ?? 0;
      this.#outgoing.wake();
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
      for (let batch = this.#batches[0]; batch && !this.#isOver; batch = this.#batches[0]) {
        await this.#host.writeStatus(this.nodeName, batch);
        this.#batches.shift();
        this.#statusAck = batch.sequence ?? 0;
        this.#outgoing.wake();
      }
    } catch (error) {
      this.end(error);
    }
  }

  /** Acknowledgements before slices: a lease must not wait behind bulk. */
  #nextMessage(): SessionDown | undefined {
    if (this.#isOver) return undefined;
    if (this.#welcome) {
      const message = { welcome: this.#welcome };
      this.#welcome = undefined;
      return message;
    }
    if (this.#heartbeatAck !== undefined) {
      const sequence = this.#heartbeatAck;
      this.#heartbeatAck = undefined;
      const heartbeatMs = this.#host.paceMs();
      if (heartbeatMs === this.#paceMs) return { heartbeatAck: { sequence } };
      this.#paceMs = heartbeatMs;
      return { heartbeatAck: { sequence, heartbeatMs } };
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
    return this.#slice.next() ?? this.#nextUsageWanted() ?? this.#nextRemoveVolumes();
  }

  #nextRemoveVolumes(): SessionDown | undefined {
    const removeVolumes = this.#removeVolumes;
    this.#removeVolumes = undefined;
    return removeVolumes && { removeVolumes };
  }

  /** After the slice: the agent then knows the pods. */
  #nextUsageWanted(): SessionDown | undefined {
    const usageWanted = this.#usageWanted;
    this.#usageWanted = undefined;
    return usageWanted && { usageWanted };
  }
}
