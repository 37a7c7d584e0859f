/** Record data as a zone file writes it (RFC 1035 5, RFC 3597 5). Pure. */
import { type RecordData, Type } from './message.ts';

export function dataText(data: RecordData): string {
  switch (data.type) {
    case 'A':
    case 'AAAA':
      return data.address;
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return `${data.target}.`;
    case 'SRV':
      return `${data.priority} ${data.weight} ${data.port} ${data.target}.`;
    case 'TXT':
      return data.strings.map(quoted).join(' ');
    case 'SOA': {
      const { primary, mailbox, serial, refreshSeconds, retrySeconds, expireSeconds, minimumSeconds } = data;
      return `${primary}. ${mailbox}. ${serial} ${refreshSeconds} ${retrySeconds} ${expireSeconds} ${minimumSeconds}`;
    }
    case 'other':
      return data.code === Type.TXT ? textsIn(data.bytes).map(quoted).join(' ') : unknownText(data.bytes);
  }
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

function textsIn(bytes: Uint8Array): string[] {
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; at += 1 + bytes[at]!) {
    texts.push(Buffer.from(bytes.subarray(at + 1, at + 1 + bytes[at]!)).toString('utf8'));
  }
  return texts;
}

function unknownText(bytes: Uint8Array): string {
  return `\\# ${bytes.length} ${Buffer.from(bytes).toString('hex')}`;
}
