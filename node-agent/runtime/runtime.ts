/**
 * What the node's pod lifecycle needs of a container runtime. `runc.ts` implements it over conmon, runc and
 * containers-storage; `fake.ts` in memory, for tests and the simulation. One contract suite holds both to this page.
 *
 * Every call is idempotent: creating what exists and removing what is gone are successes. Ids are chosen by the
 * caller before the side effect, so that a crash between the two can be found and undone. Everything survives the
 * agent: `list` reports what a former agent left, running or not.
 */

/** Which block of host ids a pod's user namespace maps 0..size-1 to. */
export interface IdMapping {
  readonly hostIdStart: number;
  readonly size: number;
}

export interface SandboxConfig {
  /** metadata.uid of the pod: the sandbox's id. */
  readonly podUid: string;
  readonly podName: string;
  readonly podNamespace: string;
  readonly hostname: string;
  /** Absent: the pod shares the host's user namespace (hostUsers: true). */
  readonly userNamespace?: IdMapping;
  readonly hostNetwork: boolean;
  readonly hostPID: boolean;
  readonly hostIPC: boolean;
  /** Pod-level cgroup limits (the sum of its containers'), so that the pod as a whole is bounded. */
  readonly resources: ContainerResources;
}

export interface Sandbox {
  readonly podUid: string;
  /** The pause process as the agent's pid namespace sees it. */
  readonly pid: number;
  /** Path by which the pod's network namespace can be entered; absent for hostNetwork. */
  readonly netnsPath?: string;
}

/** Zero or absent means "no limit" for limits and "the default" for requests. */
export interface ContainerResources {
  readonly cpuRequestMillis?: number;
  readonly cpuLimitMillis?: number;
  readonly memoryRequestBytes?: number;
  readonly memoryLimitBytes?: number;
  readonly pidsLimit?: number;
}

export interface Mount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly readOnly: boolean;
  /** A tmpfs of this size instead of hostPath (emptyDir medium Memory; secrets). */
  readonly tmpfsSizeBytes?: number;
}

export interface ContainerConfig {
  /** Unique on the node; `<podUid>-<name>-<attempt>` by convention. */
  readonly id: string;
  readonly podUid: string;
  readonly name: string;
  /** 0 for the first start, then one more per restart. */
  readonly attempt: number;
  /** Image id from ImageStore.pull. */
  readonly imageId: string;
  /** The full argument vector: image entrypoint and cmd are already merged in. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  /** `uid[:gid]` or a name in the image's passwd; empty for the image's user. */
  readonly user: string;
  /** Groups of the process beside those that the image's /etc/group gives the user. */
  readonly supplementalGroups?: readonly number[];
  readonly mounts: readonly Mount[];
  readonly resources: ContainerResources;
  readonly readOnlyRootFilesystem: boolean;
  readonly privileged: boolean;
  readonly capabilitiesAdd: readonly string[];
  readonly capabilitiesDrop: readonly string[];
  readonly terminal: boolean;
  readonly stdin: boolean;
  /** Where conmon writes the CRI log format (`<RFC3339 nano> stdout|stderr F|P <line>`). */
  readonly logPath: string;
  /** Larger than this the log is moved by `rotateLogs` to `<logPath>.1` and so on. */
  readonly logMaxBytes: number;
}

export type ContainerState = 'created' | 'running' | 'exited';

export interface ContainerStatus {
  readonly id: string;
  readonly podUid: string;
  readonly name: string;
  readonly attempt: number;
  readonly imageId: string;
  readonly state: ContainerState;
  /** First process, as the agent's pid namespace sees it; only while running. */
  readonly pid?: number;
  readonly createdAtMs: number;
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
  /** Only when exited. 128 + signal number when a signal ended it. */
  readonly exitCode?: number;
  readonly oomKilled?: boolean;
  /** Why it could not start, in the runtime's words ("exec: \"nope\": executable file not found in $PATH"). */
  readonly message?: string;
}

export interface SandboxStatus extends Sandbox {
  /** False when the pause process is gone (node rebooted, or killed): the pod's namespaces are lost. */
  readonly alive: boolean;
  readonly createdAtMs: number;
}

export interface ExecRequest {
  readonly containerId: string;
  readonly argv: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
}

/** A running exec: byte streams in both directions and its exit status. */
export interface ExecSession {
  readonly stdout: NodeJS.ReadableStream;
  /** Absent with a tty (everything arrives on stdout). */
  readonly stderr?: NodeJS.ReadableStream;
  readonly stdin?: NodeJS.WritableStream;
  resize(columns: number, rows: number): void;
  /** Resolves once with the exit status (126 not executable, 127 not found, 128 + signal). */
  readonly exitCode: Promise<number>;
  kill(): void;
}

export interface ContainerStats {
  readonly containerId: string;
  readonly podUid: string;
  readonly name: string;
  readonly cpuUsageNanos: bigint;
  readonly memoryBytes: number;
  readonly pids: number;
}

/** The message of a container whose process is gone without an exit status. */
export const lostProcessMessage = 'the process is gone and left no exit status; the node restarted or lost power';

export interface Runtime {
  /** Checks that runtime, shim and storage work on this host; throws a GantryError that names the cure. */
  check(): Promise<void>;
  /** Starts the pause process that holds the pod's namespaces, and makes the pod's cgroup. */
  createSandbox(config: SandboxConfig): Promise<Sandbox>;
  /** Ends the pause process, removes the pod's cgroup and files. The pod's containers must be removed before. */
  removeSandbox(podUid: string): Promise<void>;
  /** Root file system mounted, OCI bundle written, container created, not started. */
  createContainer(config: ContainerConfig): Promise<void>;
  /** Throws GantryError('failedPrecondition') with the runtime's own words when the command cannot be executed. */
  startContainer(id: string): Promise<void>;
  /** Sends `signal` ("SIGTERM"), to the first process only. Already exited is success. */
  signalContainer(id: string, signal: string): Promise<void>;
  /** SIGKILL to every process of the container, if any runs; unmounts; deletes its layer, bundle and cgroup. Keeps the log. */
  removeContainer(id: string): Promise<void>;
  exec(request: ExecRequest): Promise<ExecSession>;
  /**
   * Everything this runtime holds on this node, or of one pod, from disk and processes; cheap enough to call every
   * second, and for one pod after every step.
   */
  list(
    podUid?: string,
  ): Promise<{ readonly sandboxes: readonly SandboxStatus[]; readonly containers: readonly ContainerStatus[] }>;
  /** Of what runs, of these pods or of all. */
  stats(podUids?: readonly string[]): Promise<readonly ContainerStats[]>;
  /** Calls back soon (tens of ms) after any container's or sandbox's state may have changed. Returns its cancel. */
  onChange(callback: (podUid: string) => void): () => void;
  /** Moves logs larger than their logMaxBytes to `.1` (and `.1` to `.2`, ...) and reopens them. Call every 10 s or so. */
  rotateLogs(): Promise<void>;
}
