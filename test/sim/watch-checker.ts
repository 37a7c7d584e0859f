/** Holds what watchers are told to the store's own history: users' watches over the API, and the replicas' mirrors. */
import type { ControlPlane } from '../../control-plane/control-plane.ts';
import { isGantryError } from '../../lib/errors.ts';
import { fromEnvelope } from '../../lib/model/codec.ts';
import { keyOf } from '../../lib/model/keys.ts';
import type { KubeObject, WatchEvent } from '../../proto/gen/types.ts';
import type { SimProcess } from './process.ts';
import type { Rpc } from './rpc.ts';
import type { Change, Report, StoreChecker } from './store-checker.ts';
import { admin } from './users.ts';

/** Compares a replica's picture with the store at the same revision, whenever it changes. */
export function watchMirror(
  process: SimProcess,
  { state }: ControlPlane,
  checker: StoreChecker,
  report: Report,
): { checkNow(): void } {
  let checked = 0n;
  const compare = (key: string, revision: bigint): void => {
    const shown = BigInt(state.byKey(key)?.metadata.resourceVersion ?? 0);
    const stored = checker.versionAt(key, revision);
    if (shown === stored) return;
    report('mirror-exact', `${process.name} shows ${key} at ${shown}, the store has it at ${stored} (of ${revision})`);
  };
  const checkChanges = (): void => {
    const { revision } = state;
    if (revision < checked) report('watch-order', `${process.name} went back from revision ${checked} to ${revision}`);
    for (let at = checked + 1n; at <= revision; at += 1n) {
      for (const { key } of checker.log[Number(at)] ?? []) compare(key, revision);
    }
    checked = revision;
  };
  for (const key of checker.objects.keys()) compare(key, state.revision);
  checked = state.revision;
  state.onChange(() => {
    if (process.alive) checkChanges();
  });
  return {
    checkNow() {
      if (process.alive) for (const key of checker.objects.keys()) compare(key, state.revision);
    },
  };
}

export interface ApiWatcherOptions {
  readonly process: SimProcess;
  readonly rpc: Rpc;
  readonly servers: readonly string[];
  readonly kind: KubeObject['kind'];
  readonly checker: StoreChecker;
  readonly report: Report;
}

/** Follows one kind for ever, at a replica chosen anew after each end, and checks every event. */
export class ApiWatcher {
  readonly #options: ApiWatcherOptions;
  /** Undefined: begin with a list. */
  #resumeFrom: string | undefined;
  /** Where the next event is to be looked for. */
  #revision = 0;
  #index = 0;
  events = 0;

  constructor(options: ApiWatcherOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { process, servers } = this.#options;
    for (;;) {
      const address = servers[Math.floor(process.random.next() * servers.length)]!;
      try {
        await this.#follow(address);
      } catch (error) {
        if (!isGantryError(error)) throw error;
        if (error.code === 'outOfRange') this.#resumeFrom = undefined;
      }
      await process.clock.sleep(200 + 800 * process.random.next());
    }
  }

  async #follow(address: string): Promise<void> {
    const { process, rpc, kind } = this.#options;
    const since = this.#resumeFrom;
    // Both ways in which events come: one a message, and several.
    const together = kind === 'Pod';
    const request = { kind, together, ...(since !== undefined && { resourceVersion: since }) };
    if (since !== undefined) this.#seek(Number(since) + 1);
    // A watch is left now and then, as clients do, so that resuming is tried.
    const leave = AbortSignal.any([]);
    const listed = since === undefined ? new Map<string, string>() : undefined;
    for await (const message of rpc.stream(process, admin('watcher'), address, 'Cluster', 'Watch', request, {
      signal: leave,
    })) {
      const { following = [], ...first } = message as WatchEvent;
      for (const event of [first, ...following]) this.#take(event, since, listed);
    }
  }

  #take(event: WatchEvent, since: string | undefined, listed: Map<string, string> | undefined): void {
    if (event.type === 'BOOKMARK') {
      if (listed && this.#revision === 0) this.#checkList(listed, BigInt(event.resourceVersion ?? 0));
      this.#resumeFrom = event.resourceVersion;
      this.#seek(Number(event.resourceVersion) + 1);
      listed?.clear();
      return;
    }
    const object = event.object && fromEnvelope(event.object);
    if (!object) return;
    if (since === undefined && this.#resumeFrom === undefined) {
      listed?.set(keyOf(object), object.metadata.resourceVersion ?? '');
      this.#revision = 0;
      return;
    }
    this.#check(event, object);
    this.#resumeFrom = event.resourceVersion;
  }

  #seek(revision: number): void {
    this.#revision = revision;
    this.#index = 0;
  }

  #checkList(listed: ReadonlyMap<string, string>, revision: bigint): void {
    const { checker, report } = this.#options;
    for (const [key, version] of listed) {
      const stored = checker.versionAt(key, revision);
      if (stored !== BigInt(version))
        report('watch-order', `a list at ${revision} shows ${key} at ${version}, not ${stored}`);
    }
  }

  #check(event: WatchEvent, object: KubeObject): void {
    const { kind, report } = this.#options;
    this.events += 1;
    const expected = this.#next();
    const key = keyOf(object);
    const version = object.metadata.resourceVersion;
    const seen = `${event.type} ${key} at ${version}`;
    if (!expected) {
      report('watch-order', `a watch of ${kind} was told of ${seen}, which never happened`);
      return;
    }
    const type = expected.object ? (expected.previous ? 'MODIFIED' : 'ADDED') : 'DELETED';
    if (expected.key === key && expected.revision === BigInt(version ?? 0) && type === event.type) return;
    report(
      'watch-order',
      `a watch of ${kind} was told of ${seen}, but the next event is ${type} ${expected.key} at ${expected.revision}`,
    );
  }

  /** The next change of our kind in the store's history. */
  #next(): Change | undefined {
    const { checker, kind } = this.#options;
    for (; this.#revision < checker.log.length; this.#revision += 1, this.#index = 0) {
      const changes = checker.log[this.#revision]!;
      while (this.#index < changes.length) {
        const change = changes[this.#index]!;
        this.#index += 1;
        if ((change.object ?? change.previous)?.kind === kind) return change;
      }
    }
    return undefined;
  }
}
