/** Amounts of resources as numbers and back: cpu in thousandths, everything else in whole units. Pure. */
import { cpuMillis, wholeUnits } from './quantity.ts';

/** By name of the resource. */
export type Amounts = ReadonlyMap<string, number>;

const cpuNames: ReadonlySet<string> = new Set(['cpu', 'requests.cpu', 'limits.cpu']);

export function amountIn(resource: string, text: string): number {
  return cpuNames.has(resource) ? cpuMillis(text) : wholeUnits(text);
}

export function amountsOf(list: Readonly<Record<string, string>> | undefined): Map<string, number> {
  return new Map(Object.entries(list ?? {}).map(([name, text]) => [name, amountIn(name, text)]));
}

const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const decimalSuffixes = ['', 'k', 'M', 'G', 'T', 'P', 'E'];

/** As Kubernetes writes it: `500m`, `1536Mi`, `1G`; counts without a suffix. */
export function amountText(resource: string, amount: number): string {
  if (cpuNames.has(resource)) return amount % 1000 === 0 ? `${amount / 1000}` : `${amount}m`;
  if (!/(^|\.)(memory|ephemeral-storage|storage)$/.test(resource) || amount === 0) return `${amount}`;
  return amount % 1024 === 0 ? shortened(amount, 1024, binarySuffixes) : shortened(amount, 1000, decimalSuffixes);
}

function shortened(amount: number, base: number, suffixes: readonly string[]): string {
  let power = 0;
  let left = amount;
  while (left % base === 0 && power < suffixes.length - 1) {
    left /= base;
    power += 1;
  }
  return `${left}${suffixes[power]}`;
}

export function amountsText(amounts: Amounts): Record<string, string> {
  return Object.fromEntries([...amounts].map(([name, amount]) => [name, amountText(name, amount)]));
}
