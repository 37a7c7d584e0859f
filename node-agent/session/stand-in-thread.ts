/** The thread that stands in for a busy agent (stand-in.ts). It imports little, because all of it is memory of its own. */
import { readFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { bootTimeMs, systemClock } from '../../lib/clock.ts';
import type { LeanStream } from '../../lib/rpc/lean-stream.ts';
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

/** Loaded when it is needed first, which may be never: HTTP/2 takes a megabyte. */
const loadConnections = () => import('../../lib/rpc/lean-stream.ts');

function open(identityFile: string, address: string, onAck: (sequence: number) => void, onEnd: () => void): BeatStream {
  const blocks = readFileSync(identityFile, 'utf8').match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n/g) ?? [];
  const [keyPem = '', certPem = '', caPem = ''] = blocks;
  const tls = { keyPem, certPem, caPem };
  const path = '/gantry.v1.NodeSession/Heartbeats';
  const onMessage = (message: Uint8Array): void => onAck(decodeSequence(message));
  let stream: LeanStream | undefined;
  let closed = false;
  const waiting: Uint8Array[] = [];
  void loadConnections().then(({ openLeanStream }) => {
    if (closed) return;
    stream = openLeanStream({ address, serverName: controlPlaneServerName, tls, path, onMessage, onEnd });
    for (const bytes of waiting) stream.send(bytes);
  });
  return {
    send(beat) {
      const bytes = encodeBeat(beat);
      if (stream) stream.send(bytes);
      else waiting.push(bytes);
    },
    close() {
      closed = true;
      stream?.close();
    },
  };
}

/** Extends what has not lapsed. */
function renew(folder: string, lapseMs: number, sentAtMs: number): void {
  const renewedAtMs = readLease(folder);
  if (renewedAtMs === undefined || bootTimeMs() - renewedAtMs >= lapseMs || sentAtMs <= renewedAtMs) return;
  writeLease(folder, sentAtMs);
}

function run(port: MessagePort, { turns, identityFile, fencingFolder, lapseMs }: StandInData): void {
  const counter = new Int32Array(turns);
  const standIn = new StandIn({
    clock: systemClock,
    turns: () => Atomics.load(counter, 0),
    open: (address, onAck, onEnd) => open(identityFile, address, onAck, onEnd),
    leaseClockMs: bootTimeMs,
    onAcknowledged: (sentAtMs) => renew(fencingFolder, lapseMs, sentAtMs),
  });
  port.on('message', (target: StandInTarget | undefined) => {
    standIn.target = target;
  });
  // A thread has a cache of its own to write; without it each start would load a compiler here, of twice our size.
  flushCompileCache();
}

// As a program of its own it does nothing but be compiled (deploy/lab/compile-cache.ts).
if (parentPort) run(parentPort, workerData as StandInData);
else await loadConnections();
