/**
 * gRPC reflection (grpcurl list, describe) by @grpc/reflection. It brings a second protobuf runtime and parses the
 * .proto files, some 20 MB of memory, so it is loaded at the first question and never by most agents.
 */
import { EventEmitter } from 'node:events';
import type { MethodDefinition, Server, ServerDuplexStream, ServiceDefinition } from '@grpc/grpc-js';

type ReflectionStream = EventEmitter & { write(message: object): void; end(): void };
type ReflectionHandler = (stream: ReflectionStream) => void;
interface Loaded {
  readonly definition: MethodDefinition<object, object>;
  readonly handle: ReflectionHandler;
}

const versions = ['v1', 'v1alpha'] as const;
const protoFolder = new URL('../../proto/', import.meta.url).pathname;

export function addReflection(server: Server, services: readonly string[]): void {
  for (const version of versions) {
    const load = lazy(() => loadReflection(version, services));
    server.addService(rawDefinition(version), {
      ServerReflectionInfo: (call: ServerDuplexStream<Buffer, Buffer>) => void serve(call, load),
    });
  }
}

async function serve(call: ServerDuplexStream<Buffer, Buffer>, load: () => Promise<Loaded>): Promise<void> {
  call.pause();
  call.on('error', () => {});
  const { definition, handle } = await load();
  const stream = Object.assign(new EventEmitter(), {
    write(message: object) {
      if (call.write(definition.responseSerialize(message))) return;
      // Who asks without reading must not fill our memory.
      call.pause();
      call.once('drain', () => call.resume());
    },
    end: () => void call.end(),
  });
  handle(stream);
  call.on('data', (bytes: Buffer) => {
    try {
      stream.emit('data', definition.requestDeserialize(bytes));
    } catch {
      call.end(); // not a reflection request
    }
  });
  call.on('end', () => stream.emit('end'));
  call.resume();
}

async function loadReflection(version: (typeof versions)[number], services: readonly string[]): Promise<Loaded> {
  const [{ ReflectionService }, loader] = await Promise.all([import('@grpc/reflection'), import('@grpc/proto-loader')]);
  const files = ['cluster', 'session', 'agent', 'health'].map((name) => `gantry/v1/${name}.proto`);
  const definition = loader.loadSync(files, { includeDirs: [protoFolder], keepCase: true });
  const reflection = new ReflectionService(definition, { services: [...services] });
  const loaded: Loaded[] = [];
  const capture = {
    addService(service: ServiceDefinition, handlers: { ServerReflectionInfo: ReflectionHandler }) {
      loaded.push({
        definition: service.ServerReflectionInfo as MethodDefinition<object, object>,
        handle: handlers.ServerReflectionInfo,
      });
    },
  };
  reflection.addToServer(capture as unknown as Parameters<typeof reflection.addToServer>[0]);
  const wanted = loaded.find(({ definition: { path } }) => path.includes(`.${version}.`));
  if (!wanted) throw new Error(`@grpc/reflection no longer serves ${version}`);
  return wanted;
}

function rawDefinition(version: string): ServiceDefinition {
  const same = (bytes: Buffer): Buffer => bytes;
  return {
    ServerReflectionInfo: {
      path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      requestStream: true,
      responseStream: true,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
  };
}

function lazy<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
