/** `ctl describe configmap`, `secret` and `namespace`. A Secret's values are never shown. Pure. */
import type { ConfigMap, Namespace, Secret } from '../../../proto/gen/types.ts';
import { conditionLines, headLines } from './lines.ts';

export function configMapLines(configMap: ConfigMap): string[] {
  const entries = sorted(configMap.data);
  const binary = sorted(configMap.binaryData);
  return [
    ...headLines(configMap),
    '',
    'Data',
    '====',
    ...entries.flatMap(([key, value]) => [`${key}:`, '----', ...textLines(value), '']),
    '',
    'BinaryData',
    '====',
    ...binary.map(([key, value]) => `${key}: ${byteLength(value)} bytes`),
    '',
  ];
}

/** A tab in the data is not ours to set in columns. */
function textLines(text: string): string[] {
  return text.replaceAll('\t', '        ').split('\n');
}

export function secretLines(secret: Secret): string[] {
  return [
    ...headLines(secret),
    '',
    `Type:\t${secret.type ?? 'Opaque'}`,
    '',
    'Data',
    '====',
    ...sorted(secret.data).map(([key, value]) => `${key}:\t${byteLength(value)} bytes`),
    '',
  ];
}

export function namespaceLines(namespace: Namespace): string[] {
  const { conditions } = namespace.status ?? {};
  const messages = (conditions ?? []).flatMap(({ message }) => (message ? [`Message:\t${message}`] : []));
  return [
    ...headLines(namespace),
    `Status:\t${namespace.status?.phase ?? 'Active'}`,
    ...conditionLines(conditions, true),
    ...messages,
  ];
}

function sorted<T>(record: Readonly<Record<string, T>> | undefined): [string, T][] {
  return Object.entries(record ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Bytes fields are base64 text in objects. */
function byteLength(value: string | Uint8Array): number {
  return typeof value === 'string' ? Buffer.from(value, 'base64').length : value.length;
}
