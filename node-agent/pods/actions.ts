/** What can be done for a pod, each an idempotent step (execute.ts does them, next-action.ts chooses). */
import type { Container } from '../../proto/gen/types.ts';
import type { StopReason } from './activity.ts';
import type { ProbeKind } from './probes.ts';

export type Action =
  /** And before it, as before anything else that is done for the pod, its record goes to disk. */
  | { readonly type: 'prepareVolumes' }
  /** In the background. */
  | { readonly type: 'pullImage'; readonly container: Container; readonly attempt: number }
  | { readonly type: 'createSandbox' }
  | { readonly type: 'attachNetwork' }
  | {
      readonly type: 'createContainer';
      readonly container: Container;
      readonly attempt: number;
      readonly quickRestarts: number;
      readonly init: boolean;
    }
  | {
      readonly type: 'startContainer';
      readonly id: string;
      readonly container: Container;
      readonly init: boolean;
    }
  /** In the background. */
  | { readonly type: 'postStart'; readonly id: string; readonly container: Container }
  | { readonly type: 'beginProbes'; readonly id: string; readonly container: Container }
  /** In the background. */
  | { readonly type: 'probe'; readonly id: string; readonly container: Container; readonly kind: ProbeKind }
  /** Notes the time, and begins preStop in the background when there is one and `graceMs` allows it. */
  | {
      readonly type: 'beginStop';
      readonly id: string;
      readonly name: string;
      readonly reason: StopReason;
      readonly graceMs: number;
    }
  | { readonly type: 'signalContainer'; readonly id: string; readonly signal: string }
  | { readonly type: 'removeContainer'; readonly id: string }
  /** Keeps the final status for good. */
  | { readonly type: 'finish'; readonly reason?: string; readonly message?: string }
  | { readonly type: 'detachNetwork' }
  | { readonly type: 'removeSandbox' }
  /** `everything` also takes the logs and the record. */
  | { readonly type: 'removeFiles'; readonly everything: boolean }
  | { readonly type: 'reportRemoved' };

export interface Wait {
  readonly type: 'wait';
  /** Absent: until something changes. */
  readonly untilMs?: number;
}

/** Under which name an action's failures are counted. */
export function actionKey(action: Action): string {
  if (action.type === 'createContainer') return `createContainer ${action.container.name}`;
  return 'id' in action ? `${action.type} ${action.id}` : action.type;
}

/** What could be done now, most urgent first. */
export type Steps = Generator<Action | Wait, void, void>;
