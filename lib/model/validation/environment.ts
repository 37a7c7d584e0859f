/** Environment variables of a container. */
import type { Container, EnvVar } from '../../../proto/gen/types.ts';
import { at } from '../problems.ts';
import { checkExactlyOne, checkUnique, type Report } from './checks.ts';

const namePattern = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/;

const fieldPaths = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.podIP',
  'status.podIPs',
];
const keyedFieldPath = /^metadata\.(labels|annotations)\['[^']+'\]$/;
const resourcePattern = /^(limits|requests)\.(cpu|memory|ephemeral-storage)$/;

export function checkEnvironment(
  { env = [], envFrom = [] }: Container,
  containerNames: readonly string[],
  path: string,
  report: Report,
): void {
  checkUnique(env, at(path, 'env'), (variable) => variable.name, 'variable', report);
  for (const [index, variable] of env.entries()) {
    checkVariable(variable, containerNames, at(at(path, 'env'), index), report);
  }
  for (const [index, source] of envFrom.entries()) {
    const here = at(at(path, 'envFrom'), index);
    checkExactlyOne(source, ['configMapRef', 'secretRef'], here, report);
    if (source.prefix) report(at(here, 'prefix'), nameProblem(source.prefix));
  }
}

function nameProblem(name: string): string | undefined {
  if (namePattern.test(name)) return undefined;
  return `${JSON.stringify(name)} is not a variable name; use letters, digits, "_", "-" and ".", not beginning with a digit`;
}

function checkVariable(variable: EnvVar, containerNames: readonly string[], path: string, report: Report): void {
  const { name, value, valueFrom } = variable;
  if (name) report(at(path, 'name'), nameProblem(name));
  if (!valueFrom) return;
  if (value !== undefined && value !== '') report(path, 'has value and valueFrom; keep one of them');
  const here = at(path, 'valueFrom');
  checkExactlyOne(valueFrom, ['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef'], here, report);
  const { fieldRef, resourceFieldRef } = valueFrom;
  if (fieldRef?.fieldPath && !fieldPaths.includes(fieldRef.fieldPath) && !keyedFieldPath.test(fieldRef.fieldPath)) {
    const allowed = [...fieldPaths, "metadata.labels['KEY']", "metadata.annotations['KEY']"].join(', ');
    report(
      at(here, 'fieldRef.fieldPath'),
      `${JSON.stringify(fieldRef.fieldPath)} is not allowed; use one of ${allowed}`,
    );
  }
  if (resourceFieldRef?.resource && !resourcePattern.test(resourceFieldRef.resource)) {
    const allowed = 'limits.cpu, limits.memory, requests.cpu, requests.memory';
    report(
      at(here, 'resourceFieldRef.resource'),
      `${JSON.stringify(resourceFieldRef.resource)} is not allowed; use one of ${allowed}`,
    );
  }
  const other = resourceFieldRef?.containerName;
  if (other && !containerNames.includes(other)) {
    report(at(here, 'resourceFieldRef.containerName'), `no container is called ${JSON.stringify(other)}`);
  }
}
