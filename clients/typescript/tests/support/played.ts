// A server that answers what a test wants, over a real socket.

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { type DescMethod, type DescService, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  type status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";

/** A server, and where it is. */
export interface Played extends AsyncDisposable {
  readonly address: string;
}

/** Plays one service at a free port, or at the address named. */
export async function play(
  service: DescService,
  implementation: UntypedServiceImplementation,
  {
    address = "127.0.0.1:0",
    credentials = ServerCredentials.createInsecure(),
  }: { address?: string; credentials?: ServerCredentials } = {},
): Promise<Played> {
  const server = new Server();
  server.addService(definitionOf(service, Object.keys(implementation)), implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

/** A port at which every connection is cut, so that somebody can come later and serve there. */
export interface Refusing extends AsyncDisposable {
  readonly address: string;
  /** Settles when somebody tried. */
  readonly refused: Promise<unknown>;
}

/** Holds a free port until it is disposed of. */
export async function refuse(): Promise<Refusing> {
  const server = createServer((socket) => socket.destroy());
  const refused = once(server, "connection");
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    refused,
    async [Symbol.asyncDispose]() {
      if (!server.listening) return;
      server.close();
      await once(server, "close");
    },
  };
}

/** What a handler gives to its callback to fail the call. */
export function failing(
  code: status,
  details = "",
  trailers = new Metadata(),
): Partial<ServiceError> {
  return { code, details, metadata: trailers };
}

function definitionOf(service: DescService, played: readonly string[]): ServiceDefinition {
  const methods = service.methods.filter(({ localName }) => played.includes(localName));
  return Object.fromEntries(methods.map((method) => [method.localName, definition(method)]));
}

function definition(method: DescMethod): ServiceDefinition[string] {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream:
      method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream:
      method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: (message) => Buffer.from(toBinary(method.input, message)),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: (message) => Buffer.from(toBinary(method.output, message)),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
  };
}
