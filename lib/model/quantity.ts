/** Kubernetes quantities ("500m", "64Mi", "1.5", "2e3"), parsed to exact whole units. */
import { GantryError } from '../errors.ts';

const suffixes: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

const pattern = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i))?$/;

/** The number of whole units, or undefined when the text is not a quantity. */
export function parseQuantity(text: string): number | undefined {
  const match = pattern.exec(text);
  if (!match) return undefined;
  const scale = match[2] !== undefined ? 10 ** Number(match[2]) : suffixes[match[3] ?? '']!;
  return Number(match[1]) * scale;
}

function quantity(text: string): number {
  const value = parseQuantity(text);
  if (value === undefined) {
    throw new GantryError('invalidArgument', `"${text}" is not a quantity; examples: 1, 500m, 0.5, 64Mi, 1G`);
  }
  return value;
}

/** Rounded up, as Kubernetes does: 1 for "1m", 1500 for "1.5". */
export function cpuMillis(text: string): number {
  return Math.ceil(quantity(text) * 1000 - 1e-6);
}

/** Bytes (or any countable unit), rounded up. */
export function wholeUnits(text: string): number {
  return Math.ceil(quantity(text) - 1e-6);
}
