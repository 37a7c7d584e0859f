/** A container's environment, and $(NAME) in commands and values. Pure. Kubernetes' rules. */
import { GantryError } from '../../lib/errors.ts';
import { cpuMillis, wholeUnits } from '../../lib/model/quantity.ts';
import type { Container, EnvVar, Pod, Service } from '../../proto/gen/types.ts';
import type { SourceReader } from './sources.ts';

export interface EnvInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly sources: SourceReader;
  /** What limits that are not set fall back to: node status.allocatable. */
  readonly allocatable: Readonly<Record<string, string>>;
  /** Services of the pod's namespace, for enableServiceLinks. */
  readonly services: readonly Service[];
}

export type Environment = Readonly<Record<string, string>>;

/** Service links first, then envFrom in order, then env in order; later ones win. Throws invalidArgument. */
export function buildEnv(input: EnvInput): Environment {
  const { pod, container, sources } = input;
  const env: Record<string, string> = { ...(pod.spec.enableServiceLinks && serviceLinks(input.services)) };
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    const data = configMapRef
      ? sources.get('ConfigMap', pod.metadata.namespace, configMapRef.name)?.data
      : secretRef && decodeAll(sources.get('Secret', pod.metadata.namespace, secretRef.name)?.data);
    for (const [key, value] of Object.entries(data ?? {})) {
      if (isEnvName(prefix + key)) env[prefix + key] = value;
    }
  }
  for (const variable of container.env ?? []) {
    const value = resolveValue(variable, input);
    if (value !== undefined) env[variable.name] = variable.valueFrom ? value : expand(value, env);
  }
  return env;
}

/** The environment of the process: the image's, HOSTNAME, and the container's own on top. */
export function mergeEnv(imageEnv: readonly string[], hostname: string, own: Environment): Environment {
  const merged: Record<string, string> = { HOSTNAME: hostname };
  for (const entry of imageEnv) {
    const at = entry.indexOf('=');
    if (at > 0) merged[entry.slice(0, at)] = entry.slice(at + 1);
  }
  return { ...merged, ...own };
}

/** $(NAME) becomes the variable's value, $$ a dollar; an unknown name stays as it is. */
export function expand(text: string, env: Environment): string {
  return text.replace(/\$\$|\$\(([^()]*)\)/g, (match, name: string | undefined) => {
    if (match === '$$') return '$';
    return name !== undefined && Object.hasOwn(env, name) ? env[name]! : match;
  });
}

/** The argument vector: command replaces the image's entrypoint (and then its cmd too), args its cmd. */
export function buildArgv(
  container: Container,
  image: { readonly entrypoint: readonly string[]; readonly cmd: readonly string[] },
  env: Environment,
): readonly string[] {
  const command = (container.command ?? []).map((word) => expand(word, env));
  const args = (container.args ?? []).map((word) => expand(word, env));
  const argv =
    command.length > 0
      ? [...command, ...args]
      : [...image.entrypoint, ...(args.length > 0 || container.args ? args : image.cmd)];
  if (argv.length === 0) {
    throw new GantryError(
      'invalidArgument',
      `container "${container.name}" has no command and image "${container.image}" brings none; set spec command`,
    );
  }
  return argv;
}

function resolveValue({ name, value, valueFrom }: EnvVar, input: EnvInput): string | undefined {
  if (!valueFrom) return value ?? '';
  const { pod, sources } = input;
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
  if (fieldRef) return podField(pod, fieldRef.fieldPath);
  if (resourceFieldRef) return resourceField(input, resourceFieldRef);
  const ref = configMapKeyRef ?? secretKeyRef;
  if (!ref) return '';
  const found = configMapKeyRef
    ? sources.get('ConfigMap', pod.metadata.namespace, ref.name)?.data?.[ref.key]
    : decode(sources.get('Secret', pod.metadata.namespace, ref.name)?.data?.[ref.key]);
  if (found === undefined && !ref.optional) {
    throw new GantryError('invalidArgument', `env ${name}: key "${ref.key}" of "${ref.name}" does not exist; add it`);
  }
  return found;
}

/** The downward API's fields. */
export function podField(pod: Pod, fieldPath: string): string {
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath);
  if (subscript) return pod.metadata[subscript[1] as 'labels' | 'annotations']?.[subscript[2]!] ?? '';
  const fields: Readonly<Record<string, string | undefined>> = {
    'metadata.name': pod.metadata.name,
    'metadata.namespace': pod.metadata.namespace ?? 'default',
    'metadata.uid': pod.metadata.uid,
    'spec.nodeName': pod.spec.nodeName,
    'spec.serviceAccountName': '',
    'status.hostIP': pod.status?.hostIP,
    'status.podIP': pod.status?.podIP,
    'status.podIPs': pod.status?.podIPs?.map(({ ip }) => ip).join(',') ?? pod.status?.podIP,
  };
  if (!Object.hasOwn(fields, fieldPath)) {
    throw new GantryError('invalidArgument', `fieldRef "${fieldPath}" is not a field a container can ask for`);
  }
  return fields[fieldPath] ?? '';
}

function resourceField(
  { pod, container, allocatable }: EnvInput,
  ref: { readonly containerName?: string; readonly resource: string; readonly divisor?: string },
): string {
  const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  const target = ref.containerName ? all.find(({ name }) => name === ref.containerName) : container;
  const [list = '', resource = ''] = ref.resource.split(/\.(.*)/s);
  const limits = target?.resources?.limits ?? {};
  const requests = { ...limits, ...target?.resources?.requests };
  const text =
    (list === 'limits' ? limits[resource] : requests[resource]) ?? (list === 'limits' ? allocatable[resource] : '0');
  const divisor = ref.divisor && ref.divisor !== '0' ? ref.divisor : '1';
  if (resource === 'cpu') return String(Math.ceil(cpuMillis(text ?? '0') / cpuMillis(divisor)));
  return String(Math.ceil(wholeUnits(text ?? '0') / wholeUnits(divisor)));
}

function serviceLinks(services: readonly Service[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const { metadata, spec } of services) {
    const port = spec.ports?.[0];
    if (!spec.clusterIP || spec.clusterIP === 'None' || !port) continue;
    const name = metadata.name.toUpperCase().replaceAll('-', '_');
    env[`${name}_SERVICE_HOST`] = spec.clusterIP;
    env[`${name}_SERVICE_PORT`] = String(port.port);
    for (const named of spec.ports ?? []) {
      if (!named.name) continue;
      env[`${name}_SERVICE_PORT_${named.name.toUpperCase().replaceAll('-', '_')}`] = String(named.port);
    }
  }
  return env;
}

function decode(base64: string | undefined): string | undefined {
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64').toString('utf8');
}

function decodeAll(data: Record<string, string> | undefined): Record<string, string> | undefined {
  return data && Object.fromEntries(Object.entries(data).map(([key, value]) => [key, decode(value)!]));
}

function isEnvName(name: string): boolean {
  return /^[-._a-zA-Z][-._a-zA-Z0-9]*$/.test(name);
}
