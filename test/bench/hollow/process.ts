/** A process of hollow agents: the parent says by message which to start and stop, and is told twice a second how they are. */
import { constants, setPriority } from 'node:os';
import { systemClock } from '../../../lib/clock.ts';
import { createLog } from '../../../lib/log.ts';
import { HollowAgent } from './agent.ts';
import type { FleetCommand, FleetReport, FleetSettings, HollowNode } from './fleet.ts';

const joinsAtOnce = 8;
const reportMs = 500;

const agents = new Map<string, HollowAgent>();
/** Nodes that have not begun to join. */
const waiting = new Map<string, HollowNode>();
const log = createLog('hollow', 'error');
let settings: FleetSettings;
let failure: string | undefined;

async function start(nodes: readonly HollowNode[]): Promise<void> {
  for (const node of nodes) waiting.set(node.name, node);
  const worker = async (): Promise<void> => {
    for (const { name: nodeName, ip: nodeIP } of waiting.values()) {
      waiting.delete(nodeName);
      const { servers, joinPort, token, dataDir } = settings;
      const place = { nodeName, nodeIP, servers, joinPort, token, dataDir: `${dataDir}/${nodeName}`, log };
      const agent = new HollowAgent(place);
      agents.set(nodeName, agent);
      // One that is stopped on its way in has not failed.
      await agent.start().catch((error: unknown) => agents.has(nodeName) && fail(error));
    }
  };
  await Promise.all(Array.from({ length: joinsAtOnce }, worker));
}

async function stop(names: readonly string[]): Promise<void> {
  for (const name of names) {
    waiting.delete(name);
    const agent = agents.get(name);
    agents.delete(name);
    void agent?.stop();
  }
}

function report(): void {
  const nowMs = systemClock.monotonicMs();
  const all = [...agents.values()];
  const message: FleetReport = {
    connected: all.filter(({ connected }) => connected).length,
    pods: all.reduce((sum, { pods }) => sum + pods.size, 0),
    longestSilenceMs: Math.max(0, ...all.map((agent) => agent.silentMs(nowMs))),
    ...(failure !== undefined && { failure }),
  };
  process.send?.(message);
  systemClock.schedule(reportMs, report);
}

const fail = (error: unknown): void => {
  failure ??= error instanceof Error ? (error.stack ?? error.message) : String(error);
};

// Agents have machines of their own: here they give way to the control plane that they would otherwise take time from.
setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
process.on('message', (command: FleetCommand) => {
  if (command.settings) settings = command.settings;
  if (command.start) start(command.start).catch(fail);
  if (command.stop) stop(command.stop).catch(fail);
});
// The parent is gone: so are we.
process.on('disconnect', () => process.exit());
report();
