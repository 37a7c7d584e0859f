/** Looks at the machine now and then, and reports what it finds. Keeps the newest status for who asks. */
import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { NodeStatus } from '../../proto/gen/types.ts';
import type { ImageStore } from '../images/images.ts';
import type { HostFacts, HostReader } from './facts.ts';
import { type NodeStatusInput, nodeStatus, pressureSentence } from './node-status.ts';

export interface NodeReporterOptions
  extends Pick<NodeStatusInput, 'nodeIP' | 'maxPods' | 'port' | 'overlayMAC' | 'version' | 'runtimeVersion'> {
  readonly host: HostReader;
  readonly facts: HostFacts;
  readonly images: ImageStore;
  readonly clock: Clock;
  readonly log: Log;
}

export interface NodeReporter {
  /** The first look; `report` hears of it and of every later one. */
  start(report: (status: NodeStatus) => void): Promise<void>;
  stop(): void;
  status(): NodeStatus | undefined;
  /** Why the node takes no new pods now. */
  pressure(): string | undefined;
}

const lookAgainMs = 10_000;

export function createNodeReporter(options: NodeReporterOptions): NodeReporter {
  const { host, images, clock, log } = options;
  let status: NodeStatus | undefined;
  let timer: Timer | undefined;
  let running = false;

  const look = async (report: (status: NodeStatus) => void): Promise<void> => {
    try {
      const [usage, list] = await Promise.all([host.usage(), images.list()]);
      status = nodeStatus({ ...options, usage, images: list, previous: status });
      report(status);
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'cannot look at the machine; its last known state stands');
    }
    if (running) timer = clock.schedule(lookAgainMs, () => void look(report));
  };

  return {
    async start(report) {
      running = true;
      await look(report);
    },
    stop() {
      running = false;
      timer?.cancel();
    },
    status: () => status,
    pressure: () => pressureSentence(status),
  };
}
