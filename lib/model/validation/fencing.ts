/** The annotations that say how a StatefulSet's pods are fenced (lib/model/fencing.ts), on whatever carries them. */
import type { KubeObject, PodTemplateSpec } from '../../../proto/gen/types.ts';
import {
  fencingAnnotation,
  fencingAnnotations,
  isFenced,
  leastStopAfterSeconds,
  mostStopAfterSeconds,
  stopAfterAnnotation,
} from '../fencing.ts';
import { atKey } from '../problems.ts';
import type { Report } from './checks.ts';

type Annotations = Readonly<Record<string, string>>;

export function checkFencing(object: KubeObject, old: KubeObject | undefined, report: Report): void {
  if (!object.metadata) return; // which is a problem of its own
  const own = object.metadata.annotations ?? {};
  const template = templateOf(object)?.metadata?.annotations ?? {};
  if (object.kind === 'StatefulSet') {
    checkValues(own, 'metadata.annotations', { ...own, ...template }, report);
    checkValues(template, 'spec.template.metadata.annotations', { ...own, ...template }, report);
  } else if (object.kind === 'Pod' && (old || (object.metadata && isFenced(object)))) {
    checkUnchanged(own, old?.metadata.annotations ?? own, report);
  } else {
    refuse(own, 'metadata.annotations', report);
    refuse(template, 'spec.template.metadata.annotations', report);
  }
}

function templateOf(object: KubeObject): PodTemplateSpec | undefined {
  return (object as { spec?: { template?: PodTemplateSpec } }).spec?.template;
}

/** `effective`: what a pod gets, to which both may contribute. */
function checkValues(annotations: Annotations, path: string, effective: Annotations, report: Report): void {
  const fencing = annotations[fencingAnnotation];
  if (fencing !== undefined && fencing !== 'strict' && fencing !== 'stop-after') {
    const cure =
      'use strict, the default (a pod of a lost node waits for its agent or for `ctl node out-of-service NODE`)';
    report(atKey(path, fencingAnnotation), `${JSON.stringify(fencing)} is not supported; ${cure}, or stop-after`);
  }
  const text = annotations[stopAfterAnnotation];
  if (text === undefined) return;
  const seconds = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds >= leastStopAfterSeconds && seconds <= mostStopAfterSeconds)) {
    const range = `whole seconds from ${leastStopAfterSeconds} to ${mostStopAfterSeconds}`;
    report(atKey(path, stopAfterAnnotation), `${JSON.stringify(text)} is not a time to stop after; use ${range}`);
  }
  if (effective[fencingAnnotation] !== 'stop-after') {
    report(
      atKey(path, stopAfterAnnotation),
      `counts only with ${fencingAnnotation}: stop-after; add that or remove this`,
    );
  }
}

/** The node and the control plane must reckon with the same time, also while they cannot talk. */
function checkUnchanged(annotations: Annotations, before: Annotations, report: Report): void {
  for (const key of fencingAnnotations) {
    if (annotations[key] === before[key]) continue;
    const cure = 'change it on the StatefulSet and delete the pod, which is then made anew';
    report(atKey('metadata.annotations', key), `cannot change after creation; ${cure}`);
  }
}

function refuse(annotations: Annotations, path: string, report: Report): void {
  for (const key of fencingAnnotations) {
    if (annotations[key] === undefined) continue;
    report(atKey(path, key), 'is for StatefulSets: other pods have no identity, and are replaced at once; remove it');
  }
}
