/** The node's network in memory. It belongs to the machine: what is attached outlives the agent, not the power. */
import { GantryError } from '../../lib/errors.ts';
import type { PodAttachment, PodNetwork } from '../../node-agent/network/network.ts';

export interface FakePodNetwork extends PodNetwork {
  readonly attached: ReadonlyMap<string, PodAttachment>;
  failNext(operation: 'attach' | 'detach', error: GantryError): void;
  forgetFailures(): void;
  powerOff(): void;
}

export function createFakePodNetwork(onAttached: () => void): FakePodNetwork {
  const attached = new Map<string, PodAttachment>();
  const failures = new Map<string, GantryError[]>();
  const enter = (operation: string): void => {
    const failure = failures.get(operation)?.shift();
    if (failure) throw failure;
  };
  return {
    dnsIP: '10.43.0.10',
    attached,
    failNext(operation, error) {
      failures.set(operation, [...(failures.get(operation) ?? []), error]);
    },
    async attach(attachment) {
      enter('attach');
      if (attachment.netnsPath === '') throw new GantryError('failedPrecondition', 'a pod needs a network namespace');
      attached.set(attachment.podUid, attachment);
      onAttached();
    },
    async detach(podUid) {
      enter('detach');
      attached.delete(podUid);
    },
    async retain(podUIDs) {
      for (const uid of attached.keys()) if (!podUIDs.has(uid)) attached.delete(uid);
    },
    forgetFailures: () => failures.clear(),
    powerOff: () => attached.clear(),
  };
}
