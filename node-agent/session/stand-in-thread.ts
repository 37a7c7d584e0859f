/** The thread that stands in for a busy agent (stand-in.ts). It imports little, because all of it is memory of its own. */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { bootTimeMs, systemClock } from '../../lib/clock.ts';
import { openLeanStream } from '../../lib/rpc/lean-stream.ts';
import { controlPlaneServerName } from '../../lib/rpc/server-name.ts';
import { readLease, writeLease } from '../fencing/lease-file.ts';
import { decodeSequence, encodeBeat } from './heartbeat-bytes.ts';
import { type BeatStream, StandIn, type StandInTarget } from './stand-in.ts';

export interface StandInData {
  readonly turns: SharedArrayBuffer;
  /** Key, certificate and CA; read for each connection, so that renewals are followed. */
  readonly identityFile: string;
  readonly fencingFolder: string;
  /** Contact that has lapsed for so long is not ours to mend. */
  readonly lapseMs: number;
}

const { turns, identityFile, fencingFolder, lapseMs } = workerData as StandInData;
const counter = new Int32Array(turns);

function open(address: string, onAck: (sequence: number) => void, onEnd: () => void): BeatStream {
  const blocks = readFileSync(identityFile, 'utf8').match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n/g) ?? [];
  const [keyPem = '', certPem = '', caPem = ''] = blocks;
  const stream = openLeanStream({
    address,
    serverName: controlPlaneServerName,
    tls: { keyPem, certPem, caPem },
    path: '/gantry.v1.NodeSession/Heartbeats',
    onMessage: (message) => onAck(decodeSequence(message)),
    onEnd,
  });
  return { send: (beat) => stream.send(encodeBeat(beat)), close: () => stream.close() };
}

const standIn = new StandIn({
  clock: systemClock,
  turns: () => Atomics.load(counter, 0),
  open,
  leaseClockMs: bootTimeMs,
  onAcknowledged(sentAtMs) {
    const renewedAtMs = readLease(fencingFolder);
    if (renewedAtMs === undefined || bootTimeMs() - renewedAtMs >= lapseMs || sentAtMs <= renewedAtMs) return;
    writeLease(fencingFolder, sentAtMs);
  },
});

parentPort!.on('message', (target: StandInTarget | undefined) => {
  standIn.target = target;
});
