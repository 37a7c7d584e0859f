/**
 * The runtime in memory, for tests and the simulation.
 *
 * A FakeHost is the machine: its containers run on whether or not an agent looks. A FakeRuntime is one agent's view of
 * it; crash an agent by dropping its runtime (`detach`) and making another over the same host. Time passes only through the
 * host's clock, nothing is random: same calls, same history.
 */
import { PassThrough, Readable } from 'node:stream';
import type { Clock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import { type FakeProgram, readProgram } from './fake-program.ts';
import {
  type ContainerConfig,
  type ContainerStatus,
  type ExecRequest,
  lostProcessMessage,
  type Runtime,
  type SandboxConfig,
  type SandboxStatus,
} from './runtime.ts';

export interface FakeContainer {
  readonly config: ContainerConfig;
  status: ContainerStatus;
  readonly program: FakeProgram;
}

export interface FakeExecResult {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exitCode: number;
}

export interface FakeHostOptions {
  readonly clock: Clock;
  /** What a container does; default `readProgram(config.argv)`. */
  readonly program?: (config: ContainerConfig) => FakeProgram;
  /** What an exec answers (probes, `ctl exec`); default by `readProgram`. */
  readonly exec?: (container: FakeContainer, request: ExecRequest) => FakeExecResult;
  /** How long each call takes. Default 0: it only yields. */
  readonly latencyMs?: number;
}

/** Runtime calls that can be told to fail. */
export type FakeOperation =
  | 'createSandbox'
  | 'removeSandbox'
  | 'createContainer'
  | 'startContainer'
  | 'signalContainer'
  | 'removeContainer'
  | 'exec'
  | 'list';

export interface FakeHost {
  readonly clock: Clock;
  readonly sandboxes: ReadonlyMap<string, { readonly config: SandboxConfig; readonly status: SandboxStatus }>;
  readonly containers: ReadonlyMap<string, FakeContainer>;
  /** What containers printed, in CRI format, by log path. */
  readonly logs: ReadonlyMap<string, string>;
  /** The next call of `operation` (once for each time this is called) throws `error`. */
  failNext(operation: FakeOperation, error: GantryError): void;
  /** Of the failures asked for, those that have not happened yet will not. */
  forgetFailures(): void;
  /** The container's first process ends now. */
  exit(containerId: string, exitCode: number, options?: { readonly oomKilled?: boolean }): void;
  /** The pause process dies, and with it the pod's namespaces. */
  killSandbox(podUid: string): void;
  /** SIGKILL to everything in the pod's cgroup: its sandbox, and containers running or only created. */
  killPod(podUid: string): void;
  /** The plug is pulled: no process is left; what was on disk is. */
  powerOff(): void;
  imageInUse(imageId: string): boolean;
  /** A new agent's view of this host. */
  runtime(): FakeRuntime;
}

export interface FakeRuntime extends Runtime {
  /** This agent is dead: it hears of no change any more and every call of it fails. */
  detach(): void;
}

export function createFakeHost(options: FakeHostOptions): FakeHost {
  const { clock, latencyMs = 0 } = options;
  const sandboxes = new Map<string, { config: SandboxConfig; status: SandboxStatus }>();
  const containers = new Map<string, FakeContainer>();
  const logs = new Map<string, string>();
  const failures = new Map<FakeOperation, GantryError[]>();
  const listeners = new Set<(podUid: string) => void>();
  let lastPid = 1000;

  const changed = (podUid: string): void => {
    for (const listener of [...listeners]) listener(podUid);
  };
  const finish = (container: FakeContainer, exitCode: number, more: Partial<ContainerStatus> = {}): void => {
    if (container.status.state === 'exited') return;
    const { pid: _, ...rest } = container.status;
    container.status = { ...rest, state: 'exited', exitCode, finishedAtMs: clock.nowMs(), ...more };
    changed(container.config.podUid);
  };
  const print = (config: ContainerConfig, stream: string, text: string): void => {
    const stamp = new Date(clock.nowMs()).toISOString();
    const lines = text.split('\n').slice(0, -1);
    const block = lines.map((line) => `${stamp} ${stream} F ${line}\n`).join('');
    logs.set(config.logPath, (logs.get(config.logPath) ?? '') + block);
  };
  const killSandbox = (podUid: string): void => {
    const sandbox = sandboxes.get(podUid);
    if (!sandbox) return;
    sandbox.status = { ...sandbox.status, alive: false };
    changed(podUid);
  };
  const require = (id: string): FakeContainer => {
    const container = containers.get(id);
    if (!container) throw new GantryError('notFound', `container ${id} does not exist on this node`);
    return container;
  };

  const start = (container: FakeContainer): void => {
    const { config, program } = container;
    if (container.status.state !== 'created') return;
    if (program.startError) {
      finish(container, 127, { message: program.startError });
      throw new GantryError('failedPrecondition', program.startError);
    }
    lastPid += 1;
    container.status = { ...container.status, state: 'running', pid: lastPid, startedAtMs: clock.nowMs() };
    if (program.stdout) print(config, 'stdout', program.stdout);
    if (program.stderr) print(config, 'stderr', program.stderr);
    changed(config.podUid);
    if (program.exitsAfterMs !== undefined) {
      clock.schedule(program.exitsAfterMs, () => finish(container, program.exitCode ?? 0));
    }
  };

  const runtime = (): FakeRuntime => {
    let attached = true;
    const ownListeners = new Set<(podUid: string) => void>();
    /** What every call pays: the time it takes, and the failures asked for. */
    const enter = async (operation?: FakeOperation): Promise<void> => {
      if (latencyMs > 0) await clock.sleep(latencyMs);
      if (!attached) throw new GantryError('cancelled', 'this fake agent is dead');
      const failure = operation && failures.get(operation)?.shift();
      if (failure) throw failure;
    };
    return {
      async check() {
        await enter();
      },
      async createSandbox(config) {
        await enter('createSandbox');
        let sandbox = sandboxes.get(config.podUid);
        if (!sandbox?.status.alive) {
          lastPid += 1;
          const status: SandboxStatus = {
            podUid: config.podUid,
            pid: lastPid,
            ...(config.hostNetwork ? {} : { netnsPath: `/proc/${lastPid}/ns/net` }),
            alive: true,
            createdAtMs: clock.nowMs(),
          };
          sandbox = { config, status };
          sandboxes.set(config.podUid, sandbox);
          changed(config.podUid);
        }
        const { alive: _alive, createdAtMs: _at, ...rest } = sandbox.status;
        return rest;
      },
      async removeSandbox(podUid) {
        await enter('removeSandbox');
        const left = [...containers.values()].find((container) => container.config.podUid === podUid);
        if (left) {
          throw new GantryError(
            'failedPrecondition',
            `pod ${podUid} still has container ${left.config.id}; remove that first`,
          );
        }
        if (sandboxes.delete(podUid)) changed(podUid);
      },
      async createContainer(config) {
        await enter('createContainer');
        if (containers.has(config.id)) return;
        if (!sandboxes.get(config.podUid)?.status.alive) {
          throw new GantryError(
            'failedPrecondition',
            `pod ${config.podUid} has no live sandbox on this node; create it first`,
          );
        }
        const { id, podUid, name, attempt, imageId } = config;
        const status: ContainerStatus = {
          id,
          podUid,
          name,
          attempt,
          imageId,
          state: 'created',
          createdAtMs: clock.nowMs(),
        };
        containers.set(id, { config, status, program: options.program?.(config) ?? readProgram(config.argv) });
        changed(podUid);
      },
      async startContainer(id) {
        await enter('startContainer');
        start(require(id));
      },
      async signalContainer(id, signal) {
        await enter('signalContainer');
        const container = containers.get(id);
        if (container?.status.state !== 'running') return;
        if (signal === 'SIGKILL') finish(container, 137);
        const { ignoresSigterm, exitCodeOnSigterm = 143 } = container.program;
        if (signal === 'SIGTERM' && !ignoresSigterm) finish(container, exitCodeOnSigterm);
      },
      async removeContainer(id) {
        await enter('removeContainer');
        const container = containers.get(id);
        if (!container) return;
        if (container.status.state === 'running') finish(container, 137);
        containers.delete(id);
        changed(container.config.podUid);
      },
      async exec(request) {
        await enter('exec');
        const container = require(request.containerId);
        if (container.status.state !== 'running') {
          throw new GantryError(
            'failedPrecondition',
            `container ${request.containerId} does not run; exec needs a running one`,
          );
        }
        const result = options.exec?.(container, request) ?? defaultExec(request);
        return {
          stdout: Readable.from([Buffer.from((result.stdout ?? '') + (request.tty ? (result.stderr ?? '') : ''))]),
          ...(request.tty ? {} : { stderr: Readable.from([Buffer.from(result.stderr ?? '')]) }),
          ...(request.stdin ? { stdin: new PassThrough().resume() } : {}),
          resize() {},
          kill() {},
          exitCode: Promise.resolve(result.exitCode),
        };
      },
      async list(podUid) {
        await enter('list');
        const wanted = (status: { readonly podUid: string }): boolean =>
          podUid === undefined || status.podUid === podUid;
        return {
          sandboxes: [...sandboxes.values()].map((sandbox) => sandbox.status).filter(wanted),
          containers: [...containers.values()].map((container) => container.status).filter(wanted),
        };
      },
      async stats(podUids) {
        await enter();
        const running = [...containers.values()].filter(({ status, config }) => {
          return status.state === 'running' && (podUids?.includes(config.podUid) ?? true);
        });
        return running.map(({ config, status, program }) => ({
          containerId: config.id,
          podUid: config.podUid,
          name: config.name,
          cpuUsageNanos: usedNanos(clock.nowMs() - (status.startedAtMs ?? 0), program),
          memoryBytes: config.resources.memoryRequestBytes ?? 2 ** 20,
          pids: 1,
        }));
      },
      onChange(callback) {
        const listener = (podUid: string): void => callback(podUid);
        listeners.add(listener);
        ownListeners.add(listener);
        return () => {
          listeners.delete(listener);
          ownListeners.delete(listener);
        };
      },
      async rotateLogs() {
        await enter();
        for (const { config } of containers.values()) {
          const text = logs.get(config.logPath) ?? '';
          if (text.length <= config.logMaxBytes) continue;
          logs.set(`${config.logPath}.1`, text);
          logs.set(config.logPath, '');
        }
      },
      detach() {
        attached = false;
        for (const listener of ownListeners) listeners.delete(listener);
      },
    };
  };

  return {
    clock,
    sandboxes,
    containers,
    logs,
    runtime,
    killSandbox,
    failNext(operation, error) {
      failures.set(operation, [...(failures.get(operation) ?? []), error]);
    },
    forgetFailures: () => failures.clear(),
    exit(containerId, exitCode, { oomKilled } = {}) {
      finish(require(containerId), exitCode, oomKilled ? { oomKilled } : {});
    },
    killPod(podUid) {
      if (sandboxes.get(podUid)?.status.alive) killSandbox(podUid);
      for (const container of containers.values()) if (container.config.podUid === podUid) finish(container, 137);
    },
    powerOff() {
      for (const podUid of sandboxes.keys()) killSandbox(podUid);
      for (const container of containers.values()) finish(container, 137, { message: lostProcessMessage });
    },
    imageInUse: (imageId) => [...containers.values()].some((container) => container.config.imageId === imageId),
  };
}

function usedNanos(ranMs: number, { cpuMillis = 10 }: FakeProgram): bigint {
  return BigInt(Math.max(0, Math.round(ranMs * cpuMillis * 1_000)));
}

function defaultExec(request: ExecRequest): FakeExecResult {
  const program = readProgram(request.argv);
  if (program.startError) return { stderr: `${program.startError}\n`, exitCode: 127 };
  return { stdout: program.stdout ?? '', stderr: program.stderr ?? '', exitCode: program.exitCode ?? 0 };
}
