/** Metadata of every kind. */
import type { KubeObject, ObjectMeta, PodTemplateSpec } from '../../../proto/gen/types.ts';
import { fencingAnnotations } from '../fencing.ts';
import { dnsLabelProblem, dnsSubdomainProblem, qualifiedNameProblem, serviceNameProblem } from '../formats.ts';
import { at, atKey } from '../problems.ts';
import { autoRollbackAnnotation, configRolloutAnnotation } from '../rollouts.ts';
import { type Kind, kindInfo } from '../schema.ts';
import { suggest } from '../suggest.ts';
import { checkLabels, type Report } from './checks.ts';

const longestAnnotationsBytes = 256 * 1024;

const nameRules: Readonly<Record<string, (name: string) => string | undefined>> = {
  Namespace: dnsLabelProblem,
  Service: serviceNameProblem,
};

export function checkMetadata(object: KubeObject, report: Report): void {
  const { metadata } = object;
  if (!metadata) return;
  const rule = nameRules[object.kind];
  if (metadata.name && rule) report('metadata.name', rule(metadata.name));
  if (metadata.generateName) {
    const problem = (rule ?? dnsSubdomainProblem)(`${metadata.generateName}x`);
    report(
      'metadata.generateName',
      problem && `${JSON.stringify(metadata.generateName)} cannot begin a name: ${problem}`,
    );
  }
  if (metadata.namespace && kindInfo(object.kind).clusterScoped) {
    report('metadata.namespace', `a ${object.kind} does not live in a namespace; remove it`);
  }
  checkLabels(metadata.labels, 'metadata.labels', report);
  checkAnnotations(metadata, report);
  checkRolloutAnnotations(object, report);
  for (const [index, finalizer] of (metadata.finalizers ?? []).entries()) {
    if (finalizer) report(at('metadata.finalizers', index), qualifiedNameProblem(finalizer));
  }
  if ((metadata.ownerReferences ?? []).filter((owner) => owner.controller).length > 1) {
    report('metadata.ownerReferences', 'at most one owner may have controller: true');
  }
}

function checkAnnotations({ annotations = {} }: ObjectMeta, report: Report): void {
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    report(atKey('metadata.annotations', key), qualifiedNameProblem(key) ?? misspelt(key));
    bytes += key.length + Buffer.byteLength(value ?? '');
  }
  if (bytes > longestAnnotationsBytes) {
    report('metadata.annotations', `${bytes} bytes together; at most ${longestAnnotationsBytes} are allowed`);
  }
}

/** The annotations by which users ask for something: one that is misspelt would be passed over in silence. */
const asked: readonly string[] = [autoRollbackAnnotation, configRolloutAnnotation, ...fencingAnnotations];

function misspelt(key: string): string | undefined {
  if (!key.startsWith('gantry.dev/') || asked.includes(key)) return undefined;
  const meant = suggest(key, asked);
  return meant && `unknown annotation; did you mean ${meant}?`;
}

const kindsWithTemplate: readonly Kind[] = ['Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob'];
/** Those of them for which each annotation works. */
const rolloutAnnotations: readonly { readonly name: string; readonly kinds: readonly Kind[] }[] = [
  { name: autoRollbackAnnotation, kinds: ['Deployment'] },
  { name: configRolloutAnnotation, kinds: ['Deployment', 'StatefulSet', 'DaemonSet'] },
];

/** What asks for nothing that would be done is a mistake, but for kinds that have no pods: tools annotate all objects. */
function checkRolloutAnnotations(object: KubeObject, report: Report): void {
  if (!kindsWithTemplate.includes(object.kind)) return;
  const template = (object as { spec?: { template?: PodTemplateSpec } }).spec?.template?.metadata?.annotations;
  for (const { name, kinds } of rolloutAnnotations) {
    if (template?.[name] !== undefined && template[name] !== 'false') {
      const cure = kinds.includes(object.kind) ? 'move it to metadata.annotations' : 'remove it';
      report(atKey('spec.template.metadata.annotations', name), `does nothing for pods; ${cure}`);
    }
    const value = object.metadata.annotations?.[name];
    if (value === undefined) continue;
    const path = atKey('metadata.annotations', name);
    if (value !== 'true' && value !== 'false') report(path, `${JSON.stringify(value)} is neither "true" nor "false"`);
    else if (value === 'true' && !kinds.includes(object.kind)) {
      report(path, `does nothing for a ${object.kind}, only for ${kinds.join(', ')}; remove it`);
    }
  }
}
