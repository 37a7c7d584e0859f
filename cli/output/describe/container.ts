/** Containers in a description, of a pod or of a template. Pure. */
import type {
  Container,
  ContainerState,
  ContainerStatus,
  EnvFromSource,
  EnvVar,
  Pod,
  Probe,
} from '../../../proto/gen/types.ts';
import { indented, none, timeText } from './lines.ts';

/** `pod` when it is a pod's: with states, and the values of its own fields; indented as kubectl does each. */
export function containerLines(
  container: Container,
  status: ContainerStatus | undefined,
  pod: Pod | undefined,
): string[] {
  return [
    `${pod ? '  ' : ' '}${container.name}:`,
    ...indented(
      [
        ...(pod ? [`Container ID:\t${status?.containerID ?? ''}`] : []),
        `Image:\t${container.image}`,
        ...(pod ? [`Image ID:\t${status?.imageID ?? ''}`] : []),
        ...portLines(container),
        ...wordLines('Command', container.command),
        ...wordLines('Args', container.args),
        ...(status ? statusLines(status) : []),
        ...resourceLines('Limits', container.resources?.limits),
        ...resourceLines('Requests', container.resources?.requests),
        ...probeLine('Liveness', container.livenessProbe),
        ...probeLine('Readiness', container.readinessProbe),
        ...probeLine('Startup', container.startupProbe),
        ...envFromLines(container.envFrom),
        ...envLines(container.env, pod),
        ...mountLines(container),
      ],
      pod ? 4 : 2,
    ),
  ];
}

function portLines({ ports = [] }: Container): string[] {
  const one = ports.length <= 1;
  const text = (pick: (port: (typeof ports)[number]) => number): string =>
    ports.map((port) => `${pick(port)}/${port.protocol ?? 'TCP'}`).join(', ') || none;
  return [
    `${one ? 'Port' : 'Ports'}:\t${text(({ containerPort }) => containerPort)}`,
    `${one ? 'Host Port' : 'Host Ports'}:\t${text(({ hostPort = 0 }) => hostPort)}`,
  ];
}

function wordLines(name: string, words: readonly string[] | undefined): string[] {
  if (!words || words.length === 0) return [];
  return [`${name}:`, ...indented(words.flatMap((word) => word.trimEnd().split('\n')))];
}

function statusLines({ state, lastState, ready, restartCount }: ContainerStatus): string[] {
  return [
    ...stateLines('State', state),
    ...(lastState?.terminated ? stateLines('Last State', lastState) : []),
    `Ready:\t${ready ? 'True' : 'False'}`,
    `Restart Count:\t${restartCount ?? 0}`,
  ];
}

function stateLines(name: string, state: ContainerState | undefined): string[] {
  const { running, waiting, terminated } = state ?? {};
  if (running) return [`${name}:\tRunning`, `  Started:\t${timeText(running.startedAt)}`];
  if (terminated) {
    const { reason, message, exitCode = 0, signal, startedAt, finishedAt } = terminated;
    return [
      `${name}:\tTerminated`,
      ...(reason ? [`  Reason:\t${reason}`] : []),
      ...(message ? [`  Message:\t${oneLine(message)}`] : []),
      `  Exit Code:\t${exitCode}`,
      ...(signal ? [`  Signal:\t${signal}`] : []),
      `  Started:\t${timeText(startedAt)}`,
      `  Finished:\t${timeText(finishedAt)}`,
    ];
  }
  if (!waiting) return [`${name}:\tWaiting`];
  return [
    `${name}:\tWaiting`,
    ...(waiting.reason ? [`  Reason:\t${waiting.reason}`] : []),
    ...(waiting.message ? [`  Message:\t${oneLine(waiting.message)}`] : []),
  ];
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, ' ');
}

function resourceLines(name: string, resources: Readonly<Record<string, string>> | undefined): string[] {
  const entries = Object.entries(resources ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length === 0) return [];
  return [`${name}:`, ...indented(entries.map(([key, value]) => `${key}:\t${value}`))];
}

function probeLine(name: string, probe: Probe | undefined): string[] {
  if (!probe) return [];
  const { initialDelaySeconds = 0, timeoutSeconds = 1, periodSeconds = 10 } = probe;
  const { successThreshold = 1, failureThreshold = 3 } = probe;
  const attributes =
    `delay=${initialDelaySeconds}s timeout=${timeoutSeconds}s period=${periodSeconds}s ` +
    `#success=${successThreshold} #failure=${failureThreshold}`;
  return [`${name}:\t${probeAction(probe)} ${attributes}`];
}

function probeAction({ exec, httpGet, tcpSocket }: Probe): string {
  if (exec) return `exec [${exec.command.join(' ')}]`;
  if (httpGet) {
    const { scheme = 'HTTP', host = '', port, path = '/' } = httpGet;
    return `http-get ${scheme.toLowerCase()}://${host}:${port}${path}`;
  }
  return tcpSocket ? `tcp-socket ${tcpSocket.host ?? ''}:${tcpSocket.port}` : 'unknown';
}

function envFromLines(sources: readonly EnvFromSource[] | undefined): string[] {
  if (!sources || sources.length === 0) return [];
  const lines = sources.map(({ prefix, configMapRef, secretRef }) => {
    const reference = configMapRef ?? secretRef;
    const with_ = prefix ? ` with prefix '${prefix}'` : '';
    return `${reference?.name}\t${configMapRef ? 'ConfigMap' : 'Secret'}${with_}\tOptional: ${reference?.optional ?? false}`;
  });
  return ['Environment Variables from:', ...indented(lines)];
}

function envLines(variables: readonly EnvVar[] | undefined, pod: Pod | undefined): string[] {
  if (!variables || variables.length === 0) return [`Environment:\t${none}`];
  return ['Environment:', ...indented(variables.flatMap((variable) => envLine(variable, pod)))];
}

function envLine({ name, value = '', valueFrom }: EnvVar, pod: Pod | undefined): string[] {
  const { fieldRef, resourceFieldRef, secretKeyRef, configMapKeyRef } = valueFrom ?? {};
  if (fieldRef) {
    const { apiVersion = 'v1', fieldPath } = fieldRef;
    return [`${name}:\t${pod ? fieldValue(pod, fieldPath) : ''} (${apiVersion}:${fieldPath})`];
  }
  if (resourceFieldRef) {
    const { containerName, resource } = resourceFieldRef;
    return [`${name}:\t(${containerName ? `${containerName}:` : ''}${resource})`];
  }
  if (secretKeyRef) {
    const { key, name: secret, optional = false } = secretKeyRef;
    return [`${name}:\t<set to the key '${key}' in secret '${secret}'>\tOptional: ${optional}`];
  }
  if (configMapKeyRef) {
    const { key, name: map, optional = false } = configMapKeyRef;
    return [`${name}:\t<set to the key '${key}' of config map '${map}'>\tOptional: ${optional}`];
  }
  const [first = '', ...more] = value.split('\n');
  return [`${name}:\t${first}`, ...more.map((line) => `\t${line}`)];
}

function fieldValue({ metadata, spec, status }: Pod, path: string): string {
  const values: Readonly<Record<string, string | undefined>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.uid': metadata.uid,
    'spec.nodeName': spec.nodeName,
    'status.podIP': status?.podIP,
    'status.hostIP': status?.hostIP,
  };
  return values[path] ?? '';
}

function mountLines({ volumeMounts = [] }: Container): string[] {
  if (volumeMounts.length === 0) return [`Mounts:\t${none}`];
  const sorted = [...volumeMounts].sort((a, b) => (a.mountPath < b.mountPath ? -1 : 1));
  const lines = sorted.map(({ mountPath, name, readOnly, subPath }) => {
    const flags = [readOnly ? 'ro' : 'rw', ...(subPath ? [`path="${subPath}"`] : [])].join(',');
    return `${mountPath} from ${name} (${flags})`;
  });
  return ['Mounts:', ...indented(lines)];
}
