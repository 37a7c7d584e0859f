/** ConfigMap and Secret. */
import type { ConfigMap, Secret } from '../../../proto/gen/types.ts';
import { sameValue } from '../equal.ts';
import { atKey } from '../problems.ts';
import type { Report } from './checks.ts';

const keyPattern = /^[-._a-zA-Z0-9]{1,253}$/;
const largestBytes = 1024 * 1024;

type Data = Readonly<Record<string, string>>;

export function checkConfigMap(object: ConfigMap, old: ConfigMap | undefined, report: Report): void {
  const { data = {}, binaryData = {} } = object;
  checkKeys(data, 'data', report);
  checkKeys(binaryData, 'binaryData', report);
  for (const key of Object.keys(binaryData)) {
    if (Object.hasOwn(data, key)) report(atKey('binaryData', key), 'is also in data; keep one of them');
  }
  checkSize(textBytes(data) + decodedBytes(binaryData), report);
  if (old?.immutable) {
    const same = sameValue(old.data ?? {}, data) && sameValue(old.binaryData ?? {}, binaryData);
    checkImmutable(same, object.immutable, 'ConfigMap', report);
  }
}

export function checkSecret(object: Secret, old: Secret | undefined, report: Report): void {
  const { data = {} } = object;
  checkKeys(data, 'data', report);
  checkSize(decodedBytes(data), report);
  if (old?.immutable) checkImmutable(sameValue(old.data ?? {}, data), object.immutable, 'Secret', report);
  if (old && (old.type ?? 'Opaque') !== (object.type ?? 'Opaque')) {
    report('type', `never changes (it is ${old.type ?? 'Opaque'}); delete the Secret and create it again`);
  }
}

function checkKeys(data: Data, path: string, report: Report): void {
  for (const key of Object.keys(data)) {
    // Keys become file names in volumes.
    if (!keyPattern.test(key) || key === '.' || key.startsWith('..')) {
      const rule = 'use at most 253 letters, digits, "-", "_" and ".", not "." or beginning with ".."';
      report(atKey(path, key), `is not a key; ${rule}`);
    }
  }
}

function checkSize(bytes: number, report: Report): void {
  if (bytes <= largestBytes) return;
  report(
    'data',
    `${bytes} bytes together; at most 1 MiB (${largestBytes}) is allowed: split it, or put it in an image`,
  );
}

function textBytes(data: Data): number {
  return Object.values(data).reduce((sum, text) => sum + Buffer.byteLength(text ?? ''), 0);
}

function decodedBytes(data: Data): number {
  return Object.values(data).reduce((sum, text) => sum + Buffer.byteLength(text ?? '', 'base64'), 0);
}

function checkImmutable(same: boolean, immutable: boolean | undefined, kind: string, report: Report): void {
  const cure = `create a new ${kind} under another name, or delete this one first`;
  if (!same) report('data', `cannot change: the ${kind} is immutable; ${cure}`);
  if (!immutable) report('immutable', `cannot be taken back; ${cure}`);
}
