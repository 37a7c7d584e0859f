/** Every controller of the leader. */

import type { UsageOf } from '../metrics/pod-usage.ts';
import { cronJobController } from './cron-job/controller.ts';
import { daemonSetController } from './daemon-set/controller.ts';
import { deploymentController } from './deployment/controller.ts';
import { disruptionController } from './disruption/controller.ts';
import { endpointSliceController } from './endpoint-slice/controller.ts';
import { eventController } from './events/controller.ts';
import { garbageController } from './garbage/controller.ts';
import { horizontalPodAutoscalerController } from './horizontal-pod-autoscaler/controller.ts';
import { jobController } from './job/controller.ts';
import { namespaceController } from './namespace/controller.ts';
import { nodeLifecycleController } from './node-lifecycle/controller.ts';
import { persistentVolumeController } from './persistent-volume/controller.ts';
import { podGarbageController } from './pod-garbage/controller.ts';
import { replicaSetController } from './replica-set/controller.ts';
import { resourceQuotaController } from './resource-quota/controller.ts';
import { type Controller, type RunParts, runController } from './run-controller.ts';
import { statefulSetController } from './stateful-set/controller.ts';

export interface ControllerOptions {
  /** Pods a workload makes or deletes in one transaction. */
  readonly mostPerTransaction: number;
  /** Whether so many nodes are silent that no pod should be moved. */
  readonly evictionsPaused: () => boolean;
  /** Since the lease of the node ended, by the leader's clock; undefined while it is not lost. */
  readonly lostForMs: (nodeName: string) => number | undefined;
  /** What pods of autoscaled workloads use. */
  readonly podUsage: UsageOf;
}

export function allControllers(options: ControllerOptions): readonly Controller[] {
  return [
    nodeLifecycleController(options),
    deploymentController,
    replicaSetController(options),
    statefulSetController(options),
    daemonSetController(options),
    jobController(options),
    cronJobController,
    endpointSliceController,
    namespaceController,
    garbageController,
    podGarbageController,
    disruptionController,
    persistentVolumeController,
    resourceQuotaController,
    horizontalPodAutoscalerController(options),
    eventController,
  ];
}

/** Resolves when the term is over and every controller has come to rest. */
export async function runControllers(parts: RunParts, options: ControllerOptions): Promise<void> {
  await Promise.all(allControllers(options).map((controller) => runController(controller, parts)));
}
