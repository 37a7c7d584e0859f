/**
 * The node's network as one part of the agent: attaches pods, and keeps the overlay and the service addresses as the
 * slice wants them. Everything it adds to the machine is found under its own names: devices `gantry.vx` and
 * `gt<12 hex>`, table `ip gantry`. Stopping leaves all of it in place, so that pods outlive the agent.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Exec } from '../../lib/process.ts';
import type { SliceReader } from '../session/slice.ts';
import { parseRange, podLinkName } from './addresses.ts';
import * as effects from './apply.ts';
import { hostPortTargets } from './host-ports.ts';
import type { PodAttachment, PodNetwork } from './network.ts';
import { renderDifference, renderRemoval, renderTable, type TableSettings } from './nft.ts';
import {
  defaultOverlaySettings,
  encapsulationBytes,
  type OverlaySettings,
  overlayDevice,
  planOverlay,
} from './overlay.ts';
import { goneUdpTargets, planServices, type ServiceRules } from './services.ts';

export interface PodNetworkOptions {
  readonly nodeName: string;
  readonly nodeIP: string;
  readonly exec: Exec;
  readonly log: Log;
  readonly clock: Clock;
  readonly slice: SliceReader;
  readonly clusterCIDR: string;
  readonly serviceCIDR: string;
  readonly dnsIP: string;
  readonly overlay?: OverlaySettings;
}

export interface RunningPodNetwork extends PodNetwork {
  /** Reads what a former process left, and begins to follow the slice. */
  start(): Promise<void>;
  /** Ends following; rules, routes and pods' cables stay. */
  stop(): Promise<void>;
  /** Removes everything from the machine. */
  teardown(): Promise<void>;
  /** Resolves when the kernel has what the slice wants now; rejects when it could not be brought there. */
  synced(): Promise<void>;
}

/** Changes of one burst are applied together. */
const coalesceMs = 10;
const resyncMs = 30_000;
const retryMs = { first: 500, longest: 15_000 };

export function createPodNetwork(options: PodNetworkOptions): RunningPodNetwork {
  const { exec, log, clock, slice, nodeName, nodeIP } = options;
  const settings: TableSettings = { ...options, overlayDevice };
  const attached = new Map<string, PodAttachment>();
  const inherited = new Set<string>();
  let underlayMTU: number | undefined;
  let appliedRules: ServiceRules | undefined;
  let appliedOverlay: string | undefined;
  let cannotForget = false;
  let running = false;
  let timer: Timer | undefined;
  let timerDueMs = 0;
  let resyncTimer: Timer | undefined;
  let unsubscribe: (() => void) | undefined;
  let failures = 0;
  let queue: Promise<void> = Promise.resolve();

  const serial = <T>(work: () => Promise<T>): Promise<T> => {
    const result = queue.then(work);
    queue = result.then(
      () => {},
      () => {},
    );
    return result;
  };

  async function mtu(): Promise<number> {
    underlayMTU ??= await effects.readUnderlayMTU(exec, nodeIP);
    return underlayMTU - encapsulationBytes;
  }

  async function syncOverlay(): Promise<void> {
    await mtu();
    const own = { nodeName, nodeIP, underlayMTU: underlayMTU! };
    const wanted = planOverlay(slice.list('Node'), own, options.overlay ?? defaultOverlaySettings);
    if (!wanted) return;
    const fingerprint = JSON.stringify(wanted, (_key, value) =>
      value instanceof Map || value instanceof Set ? [...value] : value,
    );
    if (fingerprint === appliedOverlay) return;
    appliedOverlay = undefined;
    const changed = await effects.applyOverlay(exec, wanted);
    appliedOverlay = fingerprint;
    if (changed) log.info({ peers: wanted.routes.size, mtu: wanted.device.mtu }, 'overlay follows the nodes');
  }

  function wantedRules(): ServiceRules {
    const podCIDR = slice.get('Node', undefined, nodeName)?.spec.podCIDR;
    const pods = slice.list('Pod').filter((pod) => pod.spec.nodeName === nodeName);
    return planServices({
      services: slice.list('Service'),
      endpointSlices: slice.list('EndpointSlice'),
      hostPorts: hostPortTargets(attached.values(), inherited, pods),
      podRange: podCIDR === undefined ? undefined : parseRange(podCIDR),
      dnsIP: options.dnsIP,
    });
  }

  async function syncRules(): Promise<void> {
    const wanted = wantedRules();
    const before = appliedRules;
    appliedRules = undefined; // unknown until nft has agreed; then the whole table is written
    await effects.applyRules(exec, before ? renderDifference(before, wanted) : renderTable(wanted, settings));
    appliedRules = wanted;
    if (before) await forgetFlows(goneUdpTargets(before, wanted));
  }

  /** Needs Debian's package conntrack; without it such flows last until they pause for two minutes. */
  async function forgetFlows(addresses: readonly string[]): Promise<void> {
    if (cannotForget || addresses.length === 0) return;
    await effects.forgetUdpFlows(exec, addresses).catch((error) => {
      cannotForget = true;
      log.warn(
        { error: messageOf(error) },
        'UDP flows to endpoints that are gone are not cut; install package conntrack',
      );
    });
  }

  /** Before the first slice ever, what a former process left stays as it is. */
  const sync = (): Promise<void> =>
    serial(async () => {
      if (slice.revision === undefined) return;
      await syncRules();
      await syncOverlay();
    });

  function scheduleSync(delayMs: number): void {
    if (!running) return;
    const dueMs = clock.monotonicMs() + delayMs;
    if (timer && timerDueMs <= dueMs) return;
    timer?.cancel();
    timerDueMs = dueMs;
    timer = clock.schedule(delayMs, runSync);
  }

  function runSync(): void {
    timer?.cancel();
    timer = undefined;
    if (!running) return;
    sync().then(
      () => {
        failures = 0;
      },
      (error) => {
        failures += 1;
        const delayMs = Math.min(retryMs.first * 2 ** (failures - 1), retryMs.longest);
        log.error(
          { error: messageOf(error), details: error?.details, retryMs: delayMs },
          'node network not up to date',
        );
        scheduleSync(delayMs);
      },
    );
  }

  /** Someone else may have flushed the table, deleted the device or changed the underlay. */
  function scheduleResync(): void {
    resyncTimer = clock.schedule(resyncMs, () => {
      serial(async () => {
        appliedOverlay = underlayMTU = undefined;
        if (!(await effects.hasTable(exec))) appliedRules = undefined;
      }).then(runSync, runSync);
      scheduleResync();
    });
  }

  return {
    dnsIP: options.dnsIP,

    async start() {
      await mtu();
      await effects.enableForwarding(exec);
      for (const name of await effects.listPodLinks(exec)) inherited.add(name);
      running = true;
      unsubscribe = slice.onChange(({ kinds }) => {
        const relevant = kinds.has('Service') || kinds.has('EndpointSlice') || kinds.has('Node');
        if (relevant) scheduleSync(coalesceMs);
      });
      scheduleResync();
      runSync();
    },

    async stop() {
      running = false;
      unsubscribe?.();
      timer?.cancel();
      resyncTimer?.cancel();
      await queue;
    },

    async teardown() {
      await this.stop();
      for (const name of await effects.listPodLinks(exec)) await effects.deleteLink(exec, name);
      await effects.deleteLink(exec, overlayDevice);
      await effects.applyRules(exec, renderRemoval());
      attached.clear();
      inherited.clear();
      appliedOverlay = appliedRules = undefined;
    },

    synced: sync,

    async attach(attachment) {
      const { podUid, netnsPath, ip, hostPorts } = attachment;
      await effects.connectPod(exec, { podUid, netnsPath, ip, mtu: await mtu(), nodeIP });
      const before = attached.get(podUid);
      attached.set(podUid, attachment);
      inherited.delete(podLinkName(podUid));
      if (hostPorts.length > 0 || before?.hostPorts.length) await sync();
    },

    async detach(podUid) {
      const name = podLinkName(podUid);
      const before = attached.get(podUid);
      const wasInherited = inherited.delete(name);
      attached.delete(podUid);
      await effects.deleteLink(exec, name);
      if (before?.hostPorts.length || wasInherited) await sync();
    },

    async retain(podUIDs) {
      const names = new Set([...podUIDs].map(podLinkName));
      const gone = (await effects.listPodLinks(exec)).filter((name) => !names.has(name));
      for (const name of gone) {
        await effects.deleteLink(exec, name);
        inherited.delete(name);
      }
      for (const podUid of attached.keys()) if (!podUIDs.has(podUid)) attached.delete(podUid);
      if (gone.length > 0) {
        log.info({ links: gone.length }, 'removed network devices of pods that are no longer here');
        await sync();
      }
    },
  };
}
