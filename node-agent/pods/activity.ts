/**
 * What one agent process knows about a pod beyond records and runtime: work under way in the background and when to try
 * again. It dies with the agent; a fresh, empty one is always safe to start from. All times are monotonic.
 */
import type { Image, PullFailure } from '../images/images.ts';
import type { ContainerProbes } from './probes.ts';

export interface PodActivity {
  /** The record as it is in memory is on disk. */
  recordSaved: boolean;
  /** The pid of the pause process whose network namespace is attached; `unknown` after a restart of the agent. */
  network: number | 'detached' | 'unknown';
  /** Version of the ConfigMaps and Secrets that the volumes show. */
  volumesVersion?: string;
  /** When activeDeadlineSeconds ends. */
  deadlineAtMs?: number;
  /** How far the pod's folders have been cleared away: first the volumes, with the pod itself its logs and record. */
  files: 'present' | 'volumesRemoved' | 'removed';
  /** What the pod waits for and people have been told of. */
  said: ReadonlySet<string>;
  /** By container name. */
  readonly images: Map<string, ImageProgress>;
  /** By container id. */
  readonly stops: Map<string, StopProgress>;
  readonly postStarts: Map<string, HookProgress>;
  readonly probes: Map<string, ContainerProbes>;
  /** When each exited container ended, on our clock. */
  readonly exits: Map<string, number>;
  readonly terminationMessages: Map<string, string>;
  /** By action key. */
  readonly failures: Map<string, StepFailure>;
}

export interface ImageProgress {
  readonly reference: string;
  /** The attempt it was looked up for: `Always` asks the registry before each. */
  readonly attempt: number;
  readonly state: 'pulling' | 'present' | 'failed';
  readonly image?: Image;
  readonly failures: number;
  readonly retryAtMs: number;
  readonly reason?: PullFailure | 'ErrImageNeverPull';
  readonly message?: string;
}

export interface StopProgress {
  readonly reason: StopReason;
  readonly startedAtMs: number;
  readonly graceMs: number;
  readonly preStop: 'none' | 'running' | 'done';
  readonly preStopEndedAtMs?: number;
  readonly signalledAtMs?: number;
  readonly killedAtMs?: number;
}

export type StopReason =
  | 'deleted'
  | 'unhealthy'
  | 'imageChanged'
  | 'deadline'
  | 'hookFailed'
  | 'sandboxLost'
  | 'fenced';

export interface HookProgress {
  readonly state: 'running' | 'failed';
}

export interface StepFailure {
  readonly count: number;
  readonly retryAtMs: number;
  readonly message: string;
  /** True: the same would fail again until the pod or what it names changes. */
  readonly configuration: boolean;
}

export function newActivity(): PodActivity {
  return {
    recordSaved: false,
    network: 'unknown',
    files: 'present',
    said: new Set(),
    images: new Map(),
    stops: new Map(),
    postStarts: new Map(),
    probes: new Map(),
    exits: new Map(),
    terminationMessages: new Map(),
    failures: new Map(),
  };
}
