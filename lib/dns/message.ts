/**
 * Words of DNS that the rest of lib/dns shares. Names are text without the trailing dot; a dot, backslash or
 * unprintable byte inside a label is written `\DDD` (RFC 1035 5.1), so that a label never falls apart.
 */
import { Packet } from 'dns2';

export const Type = {
  A: Packet.TYPE.A,
  NS: Packet.TYPE.NS,
  CNAME: Packet.TYPE.CNAME,
  SOA: Packet.TYPE.SOA,
  PTR: Packet.TYPE.PTR,
  MX: Packet.TYPE.MX,
  TXT: Packet.TYPE.TXT,
  AAAA: Packet.TYPE.AAAA,
  SRV: Packet.TYPE.SRV,
  OPT: Packet.TYPE.EDNS,
  IXFR: 251,
  AXFR: Packet.TYPE.AXFR,
  ANY: Packet.TYPE.ANY,
} as const satisfies Record<string, number>;

export const Rcode = {
  NOERROR: Packet.RCODE.NOERROR,
  FORMERR: Packet.RCODE.FORMERR,
  SERVFAIL: Packet.RCODE.SERVFAIL,
  NXDOMAIN: Packet.RCODE.NXDOMAIN,
  NOTIMP: Packet.RCODE.NOTIMP,
  REFUSED: Packet.RCODE.REFUSED,
  BADVERS: Packet.RCODE.BADVERS,
} as const satisfies Record<string, number>;

export const classIN: number = Packet.CLASS.IN;
export const classANY: number = Packet.CLASS.ANY;

export type RecordData =
  | { readonly type: 'A' | 'AAAA'; readonly address: string }
  | { readonly type: 'CNAME' | 'NS' | 'PTR'; readonly target: string }
  | {
      readonly type: 'SRV';
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    }
  /** Each string is cut into pieces of 255 bytes. */
  | { readonly type: 'TXT'; readonly strings: readonly string[] }
  | {
      readonly type: 'SOA';
      readonly primary: string;
      readonly mailbox: string;
      readonly serial: number;
      readonly refreshSeconds: number;
      readonly retrySeconds: number;
      readonly expireSeconds: number;
      readonly minimumSeconds: number;
    }
  /** Any other type, as bytes that hold no compressed name. */
  | { readonly type: 'other'; readonly code: number; readonly bytes: Uint8Array };

export interface ResourceRecord {
  readonly name: string;
  readonly ttlSeconds: number;
  readonly data: RecordData;
}

/** What an answer says; the codec adds id, question and size. */
export interface Reply {
  readonly rcode: number;
  readonly authoritative: boolean;
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
}

export function emptyReply(rcode: number, authoritative = false): Reply {
  return { rcode, authoritative, answers: [], authorities: [], additionals: [] };
}

export function typeCode(data: RecordData): number {
  return data.type === 'other' ? data.code : Type[data.type];
}

const rcodeNames = new Map<number, string>(Object.entries(Rcode).map(([name, code]) => [code, name]));
export const rcodeName = (rcode: number): string => rcodeNames.get(rcode) ?? `RCODE${rcode}`;

const typeNames = new Map<number, string>(Object.entries(Type).map(([name, code]) => [code, name]));
/** RFC 3597 5 for types without a name here. */
export const typeName = (code: number): string => typeNames.get(code) ?? `TYPE${code}`;

/** Labels of a name, escapes undone, one character a byte. */
export function labelsOf(name: string): string[] {
  if (name === '' || name === '.') return [];
  if (!name.includes('\\')) return name.replace(/\.$/, '').split('.');
  const labels = [''];
  for (const [part] of name.matchAll(/\\\d{3}|\\.|\.|[^\\.]+/gs)) {
    const last = labels.length - 1;
    if (part === '.') labels.push('');
    else if (/^\\\d/.test(part)) labels[last] += String.fromCharCode(Number(part.slice(1)));
    else labels[last] += part.startsWith('\\') ? part.slice(1) : part;
  }
  return labels;
}

/** Inverse of `labelsOf` for one label. */
export function escapeLabel(label: string): string {
  return label.replace(/[^!-[\]-~]|\./g, (byte) => `\\${String(byte.charCodeAt(0)).padStart(3, '0')}`);
}

/** RFC 1035 2.3.4: labels of 1 to 63 bytes, 255 with their lengths. Anything else cannot be written in a message. */
export function isEncodable(name: string): boolean {
  const labels = labelsOf(name);
  const bytes = labels.reduce((sum, label) => sum + label.length + 1, 1);
  return bytes <= 255 && labels.every((label) => label.length >= 1 && label.length <= 63);
}
