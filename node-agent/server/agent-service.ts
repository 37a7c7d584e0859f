/** The service Agent: logs, exec and stats of the pods on this node, for the control plane alone. */
import type { Clock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Peer } from '../../lib/rpc/peer.ts';
import type { Handlers } from '../../lib/rpc/serve-call.ts';
import { startServer } from '../../lib/rpc/server.ts';
import type { RunningServer } from '../../lib/rpc/server-options.ts';
import type { ReloadableTls } from '../../lib/rpc/tls.ts';
import type { LogsRequest } from '../../proto/gen/types.ts';
import type { NodeMeter } from '../host/node-meter.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { nanocores, read, usageBetween } from '../usage/measure.ts';
import { runExec } from './exec-stream.ts';
import { readLog } from './log-reader.ts';
import { type ContainerTarget, findTarget, type PodDirectory } from './pod-directory.ts';

export interface AgentServiceOptions {
  readonly runtime: Pick<Runtime, 'exec' | 'stats' | 'list'>;
  readonly directory: PodDirectory;
  readonly node?: NodeMeter;
  readonly clock: Clock;
}

/** Between the two readings of Stats. */
const measuredMs = 1_000;

export interface AgentServerOptions extends AgentServiceOptions {
  /** host:port */
  readonly listen: string;
  readonly tls: ReloadableTls;
  readonly log: Log;
}

export function startAgentServer({ listen, tls, log, ...options }: AgentServerOptions): Promise<RunningServer> {
  return startServer({
    listen,
    tls,
    log,
    requireClientCertificate: true,
    services: { Agent: agentHandlers(options) },
    authorize: ({ peer }) => onlyControlPlane(peer),
  });
}

function onlyControlPlane({ organization, commonName }: Peer): void {
  if (organization === 'control-plane') return;
  throw new GantryError(
    'permissionDenied',
    `agents serve the control plane alone, and this is "${commonName}" (${organization || 'no role'}); use ctl logs or ctl exec`,
  );
}

export function agentHandlers({ runtime, directory, node, clock }: AgentServiceOptions): Handlers<'Agent'> {
  return {
    async *Logs(request, { signal }) {
      const target = findTarget(directory.pods(), request);
      const file = await chooseFile(target, request, directory);
      const { tailLines, sinceSeconds, timestamps = false, follow = false, previous = false } = request;
      const finished = async (): Promise<boolean> => {
        const run = await directory.newestRun(target);
        const restarted = (await directory.logFiles(target)).at(-1) !== file;
        return restarted || run === undefined || run.state === 'exited';
      };
      const chunks = readLog(file, {
        timestamps,
        signal,
        ...(tailLines !== undefined && tailLines >= 0 && { tailLines }),
        ...(sinceSeconds !== undefined && { sinceMs: clock.nowMs() - sinceSeconds * 1000 }),
        ...(follow && !previous && { follow: { finished, clock } }),
      });
      for await (const data of chunks) yield { data };
    },

    async *Exec(requests, { signal }) {
      const inbox = requests[Symbol.asyncIterator]();
      const first = await inbox.next();
      const start = first.done ? undefined : first.value.start;
      if (!start) throw new GantryError('invalidArgument', 'the first message of Exec must be `start`');
      const { command = [], tty = false, stdin = false, size } = start;
      if (command.length === 0)
        throw new GantryError('invalidArgument', 'exec needs a command: ctl exec POD -- COMMAND');
      const target = findTarget(directory.pods(), start);
      const run = await directory.newestRun(target);
      if (run?.state !== 'running') throw notRunning(target);
      const session = await runtime.exec({ containerId: run.id, argv: command, tty, stdin });
      if (size?.columns && size.rows) session.resize(size.columns, size.rows);
      yield* runExec(session, inbox, signal, (ms) => clock.sleep(ms));
    },

    async Stats({ podUIDs = [], nodeOnly = false }) {
      const sources = {
        runtime,
        clock,
        pod: (uid: string) => directory.pods().find(({ metadata }) => metadata.uid === uid),
      };
      const wanted = nodeOnly ? [] : podUIDs.length > 0 ? podUIDs : undefined;
      const [podsBefore, nodeBefore] = await Promise.all([read(sources, wanted), node?.read()]);
      await clock.sleep(measuredMs);
      const [podsAfter, nodeAfter] = await Promise.all([read(sources, wanted), node?.read()]);
      const windowMs = podsAfter.atMs - podsBefore.atMs;
      const used = nodeBefore && nodeAfter && nodeAfter.cpuNanos - nodeBefore.cpuNanos;
      return {
        pods: usageBetween(podsBefore, podsAfter, sources.pod),
        ...(nodeAfter &&
          used !== undefined && {
            node: {
              cpuNanocores: nanocores(used, windowMs),
              memoryBytes: nodeAfter.memoryBytes,
              windowMs: Math.round(windowMs),
            },
          }),
      };
    },
  };
}

/** The run whose log is wanted. */
async function chooseFile(
  target: ContainerTarget,
  { previous = false }: LogsRequest,
  directory: PodDirectory,
): Promise<string> {
  const files = await directory.logFiles(target);
  const file = files.at(previous ? -2 : -1);
  if (file) return file;
  const { pod, container } = target;
  if (previous) {
    throw new GantryError(
      'notFound',
      `container ${container} of pod ${pod.metadata.name} has not been restarted: it has no previous run`,
    );
  }
  throw notRunning(target);
}

function notRunning({ pod, container }: ContainerTarget): GantryError {
  const { name, namespace = 'default' } = pod.metadata;
  const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  const state = statuses.find((status) => status.name === container)?.state;
  const reason = state?.waiting?.reason ?? state?.terminated?.reason;
  return new GantryError(
    'failedPrecondition',
    `container ${container} of pod ${name} is not running${reason ? ` (${reason})` : ''}; see \`ctl describe pod ${name} -n ${namespace}\``,
  );
}
