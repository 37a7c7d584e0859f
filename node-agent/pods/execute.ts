/** Carries out one action of one pod. What an action changes is noted in the record before, in the activity after. */
import { GantryError } from '../../lib/errors.ts';
import type { Container } from '../../proto/gen/types.ts';
import { hostPortsOfPod } from '../network/host-ports.ts';
import type { Action } from './actions.ts';
import { containerConfig, sandboxConfig } from './container-config.ts';
import { buildEnv } from './env.ts';
import { podHostname, renderHosts, renderResolvConf } from './etc-files.ts';
import { beginPreStop, runPostStart } from './hooks.ts';
import { containerPhase, type ObservedPod } from './observe.ts';
import { findContainer, type PodContext } from './pod-context.ts';
import { runProbe } from './probe-run.ts';
import { beginProbes } from './probes.ts';
import { pullImage } from './pull.ts';
import { beginAttempt, beginSandbox } from './record.ts';
import { podStatus } from './status.ts';
import { plannedMounts, planVolumes, volumeOwner } from './volumes.ts';

export async function execute(context: PodContext, action: Action, observed: ObservedPod): Promise<void> {
  const { activity, deps, uid } = context;
  switch (action.type) {
    case 'prepareVolumes':
      if (!activity.recordSaved) await context.note(context.record);
      await deps.files.prepareVolumes(uid, planVolumes(context.pod(), context.sources), ownerOf(context));
      activity.volumesVersion = observed.sources.version;
      return;
    case 'pullImage':
      return pullImage(context, action.container, action.attempt);
    case 'createSandbox':
      return createSandbox(context, observed);
    case 'attachNetwork':
      return attachNetwork(context, observed);
    case 'createContainer':
      return createContainer(context, action);
    case 'startContainer':
      // Created in time, or never started: see node-agent/fencing.
      if (deps.fencing.permission(context.pod()) === 'stopped') return;
      await deps.runtime.startContainer(action.id);
      if (!action.init) activity.probes.set(action.id, beginProbes(action.container, deps.clock.monotonicMs()));
      context.event('Normal', 'Started', `Started container ${action.container.name}`, action.container);
      return;
    case 'postStart':
      return runPostStart(context, action.id, action.container);
    case 'beginProbes':
      activity.probes.set(action.id, beginProbes(action.container, deps.clock.monotonicMs()));
      return;
    case 'probe':
      return runProbe(context, action);
    case 'beginStop':
      return beginStop(context, action);
    case 'signalContainer':
      return signalContainer(context, action.id, action.signal);
    case 'removeContainer':
      return deps.runtime.removeContainer(action.id);
    case 'finish':
      return finish(context, action, observed);
    case 'detachNetwork':
      if (!context.pod().spec.hostNetwork) await deps.network.detach(uid);
      activity.network = 'detached';
      return;
    case 'removeSandbox':
      return deps.runtime.removeSandbox(uid);
    case 'removeFiles':
      await context.saved(); // a record that lands later would outlive its pod
      if (action.everything) await deps.files.removePod(context.record.pod);
      else await deps.files.removeVolumes(uid);
      activity.files = action.everything ? 'removed' : 'volumesRemoved';
      return;
    case 'reportRemoved': {
      await deps.fencing.release(uid);
      const { namespace = 'default', name } = context.record.pod.metadata;
      return deps.sink.removed({ namespace, name, uid });
    }
  }
}

function ownerOf(context: PodContext): ReturnType<typeof volumeOwner> {
  return volumeOwner(context.pod(), context.record.hostIdStart);
}

async function createSandbox(context: PodContext, observed: ObservedPod): Promise<void> {
  const pod = context.pod();
  const done = pod.spec.containers.filter(
    (container) => containerPhase(container, observed, false).type === 'finished',
  );
  const next = beginSandbox(context.record, new Set(done.map(({ name }) => name)));
  if (Object.keys(next.containers).length > 0) {
    await context.note(next);
    context.event('Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
  }
  await context.deps.fencing.guard(pod);
  await context.deps.runtime.createSandbox(sandboxConfig(pod, context.record.hostIdStart));
}

async function attachNetwork(context: PodContext, { sandbox }: ObservedPod): Promise<void> {
  const pod = context.pod();
  const ip = pod.status?.podIP;
  if (!sandbox?.netnsPath || !ip) {
    const message = 'the pod was bound without an IP address; bind it through the scheduler, or delete and recreate it';
    throw new GantryError('failedPrecondition', message);
  }
  const { netnsPath, pid } = sandbox;
  await context.deps.network.attach({ podUid: context.uid, netnsPath, ip, hostPorts: hostPortsOfPod(pod) });
  context.activity.network = pid;
}

async function createContainer(
  context: PodContext,
  { container, attempt, quickRestarts }: Action & { type: 'createContainer' },
): Promise<void> {
  const { deps, sources, uid } = context;
  const pod = context.pod();
  const image = context.activity.images.get(container.name)?.image;
  if (!image) throw new GantryError('internal', `the image of container "${container.name}" is not known yet`);
  const owner = ownerOf(context);
  const services = sources.services(pod.metadata.namespace);
  const env = buildEnv({ pod, container, sources, services, allocatable: deps.allocatable() });
  const volumeMounts = await Promise.all(
    plannedMounts(container, planVolumes(pod, sources)).map(async ({ mount, plan }) => ({
      hostPath: await deps.files.volumePath(uid, plan, mount.subPath, owner),
      containerPath: mount.mountPath,
      readOnly: mount.readOnly === true || ('readOnly' in plan && plan.readOnly === true),
    })),
  );
  const config = containerConfig({
    pod,
    container,
    attempt,
    imageId: image.id,
    image: image.config,
    env,
    volumeMounts,
    folders: deps.folders,
  });
  await deps.files.prepareContainer(pod, container.name, attempt, renderFiles(context), owner);
  await deps.files.pruneLogs(pod, container.name, attempt - 1);
  const { stopSignal } = image.config;
  await context.note(
    beginAttempt(context.record, container.name, { attempt, image: container.image, stopSignal, quickRestarts }),
  );
  await deps.fencing.guard(pod);
  await deps.runtime.createContainer(config);
  context.event('Normal', 'Created', `Created container: ${container.name}`, container);
}

function renderFiles(context: PodContext): { hosts: string; hostname: string; resolvConf: string } {
  const { deps } = context;
  const pod = context.pod();
  const nodeResolvConf = deps.nodeFiles.resolvConf();
  return {
    hosts: renderHosts(pod, deps.zone, deps.nodeFiles.hosts()),
    hostname: `${podHostname(pod)}\n`,
    resolvConf: renderResolvConf(pod, { dnsIP: deps.network.dnsIP, zone: deps.zone, nodeResolvConf }),
  };
}

const stopSentences: Readonly<Record<string, (name: string) => string>> = {
  deleted: (name) => `Stopping container ${name}`,
  unhealthy: (name) => `Container ${name} failed its probe, it will be restarted`,
  imageChanged: (name) => `Container ${name} has a new image, it will be restarted`,
  deadline: (name) => `Stopping container ${name}: the pod's activeDeadlineSeconds are over`,
  hookFailed: (name) => `Stopping container ${name}: its postStart hook failed`,
  fenced: (name) => `Stopping container ${name}: the node has lost the control plane`,
  sandboxLost: (name) => `Stopping container ${name}: the pod's namespaces are gone`,
};

function beginStop(context: PodContext, { id, name, reason, graceMs }: Action & { type: 'beginStop' }): void {
  const { activity, deps } = context;
  const container = findContainer(context.record.pod, name);
  const preStop = graceMs > 0 ? container?.lifecycle?.preStop : undefined;
  activity.stops.set(id, {
    reason,
    startedAtMs: deps.clock.monotonicMs(),
    graceMs,
    preStop: preStop ? 'running' : 'none',
  });
  context.event('Normal', 'Killing', stopSentences[reason]!(name), container);
  if (preStop && container) beginPreStop(context, id, container, preStop, graceMs);
}

async function signalContainer(context: PodContext, id: string, signal: string): Promise<void> {
  await context.deps.runtime.signalContainer(id, signal);
  const progress = context.activity.stops.get(id);
  if (!progress) return;
  const nowMs = context.deps.clock.monotonicMs();
  const field = signal === 'SIGKILL' ? { killedAtMs: nowMs } : { signalledAtMs: nowMs };
  context.activity.stops.set(id, { ...progress, ...field });
}

async function finish(
  context: PodContext,
  { reason, message }: Action & { type: 'finish' },
  observed: ObservedPod,
): Promise<void> {
  const { clock } = context.deps;
  const finalStatus = podStatus({
    pod: context.pod(),
    observed,
    previous: context.pod().status,
    nowMs: clock.nowMs(),
    monotonicMs: clock.monotonicMs(),
    ending: { ...(reason !== undefined && { reason }), ...(message !== undefined && { message }) },
  });
  if (reason !== undefined) context.event('Warning', reason, message ?? reason);
  await context.note({ ...context.record, finalStatus });
}

/** What went wrong, as an event about the pod. */
export function reportFailure(context: PodContext, action: Action, message: string): void {
  const container: Container | undefined = 'container' in action ? action.container : undefined;
  const reasons: Readonly<Partial<Record<Action['type'], string>>> = {
    prepareVolumes: 'FailedMount',
    createSandbox: 'FailedCreatePodSandBox',
    attachNetwork: 'FailedCreatePodSandBox',
    createContainer: 'Failed',
    startContainer: 'Failed',
    signalContainer: 'FailedKillPod',
    removeContainer: 'FailedKillPod',
    detachNetwork: 'FailedKillPod',
    removeSandbox: 'FailedKillPod',
    removeFiles: 'FailedKillPod',
  };
  const reason = reasons[action.type];
  if (reason) context.event('Warning', reason, reason === 'Failed' ? `Error: ${message}` : message, container);
}
