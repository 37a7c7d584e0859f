/** Requests and limits, from the pod's quantities to the runtime's numbers. Pure. */
import { cpuMillis, wholeUnits } from '../../lib/model/quantity.ts';
import type { Container, PodSpec, PodStatus } from '../../proto/gen/types.ts';
import type { ContainerResources } from '../runtime/runtime.ts';

/** Threads and processes of a container that names no limit: enough for anything sane, too few for a fork bomb. */
const defaultPidsLimit = 4096;

export function containerResources(container: Container): ContainerResources {
  const limits = container.resources?.limits ?? {};
  const requests = { ...limits, ...container.resources?.requests };
  const cpuRequest = requests.cpu;
  const memoryRequest = requests.memory;
  return {
    ...(cpuRequest !== undefined && { cpuRequestMillis: cpuMillis(cpuRequest) }),
    ...(limits.cpu !== undefined && { cpuLimitMillis: cpuMillis(limits.cpu) }),
    ...(memoryRequest !== undefined && { memoryRequestBytes: wholeUnits(memoryRequest) }),
    ...(limits.memory !== undefined && { memoryLimitBytes: wholeUnits(limits.memory) }),
    pidsLimit: limits.pids === undefined ? defaultPidsLimit : wholeUnits(limits.pids),
  };
}

/**
 * Bounds for the pod as a whole: the containers' sum, or the largest init container where that is more. A limit holds
 * for the pod only when every container has one.
 */
export function podResources(spec: PodSpec): ContainerResources {
  const containers = spec.containers.map(containerResources);
  const init = (spec.initContainers ?? []).map(containerResources);
  const total = (key: keyof ContainerResources, needed: boolean): number | undefined => {
    const all = [...containers, ...init].map((resources) => resources[key]);
    if (needed && all.some((value) => !value)) return undefined;
    const sum = containers.reduce((value, resources) => value + (resources[key] ?? 0), 0);
    const value = Math.max(sum, ...init.map((resources) => resources[key] ?? 0));
    return value > 0 ? value : undefined;
  };
  const result: Record<string, number> = {};
  const put = (key: keyof ContainerResources, needed: boolean): void => {
    const value = total(key, needed);
    if (value !== undefined) result[key] = value;
  };
  put('cpuRequestMillis', false);
  put('memoryRequestBytes', false);
  put('cpuLimitMillis', true);
  put('memoryLimitBytes', true);
  put('pidsLimit', true);
  return result;
}

/** https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/ */
export function qosClass(spec: PodSpec): NonNullable<PodStatus['qosClass']> {
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  const named = all.some(({ resources }) =>
    ['cpu', 'memory'].some((key) => resources?.limits?.[key] !== undefined || resources?.requests?.[key] !== undefined),
  );
  if (!named) return 'BestEffort';
  const guaranteed = all.every(({ resources }) =>
    ['cpu', 'memory'].every((key) => {
      const limit = resources?.limits?.[key];
      return limit !== undefined && wholeUnits(limit) > 0 && (resources?.requests?.[key] ?? limit) === limit;
    }),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}
