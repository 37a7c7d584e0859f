/**
 * gantry.v1.Heartbeat as bytes, without the schema and its library, for the thread that stands in for the agent: both fields are
 * whole numbers. https://protobuf.dev/programming-guides/encoding
 */
export interface Beat {
  readonly sequence: number;
  readonly agentSilentMs: number;
}

export function encodeBeat({ sequence, agentSilentMs }: Beat): Uint8Array {
  return Uint8Array.from([0x08, ...varint(sequence), 0x10, ...varint(agentSilentMs)]);
}

/** Fields that are not known are skipped. */
export function decodeSequence(bytes: Uint8Array): number {
  let sequence = 0;
  let at = 0;
  const read = (): number => {
    let value = 0;
    for (let factor = 1; at < bytes.length; factor *= 128) {
      const byte = bytes[at]!;
      at += 1;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < bytes.length) {
    const tag = read();
    const type = tag & 7;
    if (type === 0) {
      const value = read();
      if (tag === 0x08) sequence = value;
    } else if (type === 2) {
      const length = read();
      at += length;
    } else at += type === 1 ? 8 : 4;
  }
  return sequence;
}

/** Of a whole number from 0 to 2^53 - 1. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = Math.max(0, Math.floor(value));
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return [...bytes, rest];
}
