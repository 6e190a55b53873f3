// The three shapes of a call, as promises and async iterables over the streams of grpc-js.

import { Readable, type Writable } from "node:stream";
import {
  create,
  type DescMessage,
  type DescMethodBiDiStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type ClientReadableStream, status as Code, type ServiceError } from "@grpc/grpc-js";
import type { Channel, Start } from "./channel.js";
import { RerankError } from "./errors.js";
import type { CallOptions } from "./options.js";

/** Messages that come one after the other. Leaving the loop early cancels the call. */
export type Answers<Message> = AsyncGenerator<Message, void, undefined>;

/** What is sent on a stream: an array, a generator, anything that can be iterated. */
export type Requests<Message> = Iterable<Message> | AsyncIterable<Message>;

/** Asks once and answers once. */
export async function unary<I extends DescMessage, O extends DescMessage>(
  channel: Channel,
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
  call: CallOptions,
): Promise<MessageShape<O>> {
  call.signal?.throwIfAborted();
  const { metadata, timeoutMs } = channel.start(method, call);
  const bytes = encoder(method.input)(request);
  let release = () => {};
  try {
    return await new Promise((resolve, reject) => {
      const open = channel.grpc.makeUnaryRequest(
        pathOf(method),
        asTheyAre,
        decoder(method.output),
        bytes,
        metadata,
        { deadline: Date.now() + timeoutMs },
        // Without an error there is an answer.
        (error, answer) => (error ? reject(error) : resolve(answer as MessageShape<O>)),
      );
      release = channel.watch(open, call.signal);
    });
  } catch (error) {
    throw failure(error, call.signal);
  } finally {
    release();
  }
}

/** Asks once and answers several times. */
export function serverStream<I extends DescMessage, O extends DescMessage>(
  channel: Channel,
  method: DescMethodServerStreaming<I, O>,
  request: MessageInitShape<I>,
  call: CallOptions,
): Answers<MessageShape<O>> {
  const start = channel.start(method, call);
  const bytes = encoder(method.input)(request);
  return answers(channel, call.signal, () =>
    channel.grpc.makeServerStreamRequest(
      pathOf(method),
      asTheyAre,
      decoder(method.output),
      bytes,
      start.metadata,
      { deadline: Date.now() + start.timeoutMs },
    ),
  );
}

/** Sends while it receives. */
export function bidiStream<I extends DescMessage, O extends DescMessage, Request>(
  channel: Channel,
  method: DescMethodBiDiStreaming<I, O>,
  requests: Requests<Request>,
  call: CallOptions,
  toMessage: (request: Request) => MessageInitShape<I>,
): Answers<MessageShape<O>> {
  const encode = encoder(method.input);
  async function* encoded(): AsyncGenerator<Buffer> {
    for await (const request of requests) yield encode(toMessage(request));
  }
  return sending(channel, method, encoded(), call, channel.start(method, call));
}

async function* sending<I extends DescMessage, O extends DescMessage>(
  channel: Channel,
  method: DescMethodBiDiStreaming<I, O>,
  requests: AsyncGenerator<Buffer>,
  call: CallOptions,
  start: Start,
): Answers<MessageShape<O>> {
  // One at a time: what the server is not ready to read is not asked of the caller yet.
  const source = Readable.from(requests, { highWaterMark: 1 });
  let broken: { readonly cause: unknown } | undefined;
  try {
    yield* answers(channel, call.signal, () => {
      const stream = channel.grpc.makeBidiStreamRequest<Buffer, MessageShape<O>>(
        pathOf(method),
        asTheyAre,
        decoder(method.output),
        start.metadata,
        { deadline: Date.now() + start.timeoutMs },
      );
      source.on("error", (cause) => {
        broken = { cause };
        stream.cancel();
      });
      // It takes buffers, and is typed to take nothing else.
      source.pipe(stream as unknown as Writable);
      return stream;
    });
  } catch (error) {
    // When the caller's own iterable throws, that is the error, and not what it leads to.
    throw broken === undefined ? error : broken.cause;
  } finally {
    source.destroy();
  }
}

async function* answers<Message>(
  channel: Channel,
  signal: AbortSignal | undefined,
  open: () => ClientReadableStream<Message>,
): Answers<Message> {
  signal?.throwIfAborted();
  const stream = open();
  // The status of a call that nobody reads any more comes as an event, and must find somebody.
  stream.on("error", () => {});
  const release = channel.watch(stream, signal);
  try {
    for await (const message of stream) yield message as Message;
  } catch (error) {
    throw failure(error, signal);
  } finally {
    stream.cancel();
    release();
  }
}

function pathOf(method: DescMethodUnary | DescMethodServerStreaming | DescMethodBiDiStreaming) {
  return `/${method.parent.typeName}/${method.name}`;
}

// Requests are encoded before the call, so that a mistake in one throws here and now, with the
// name of the field, instead of coming back as INTERNAL.
function encoder<I extends DescMessage>(schema: I) {
  return (request: MessageInitShape<I>): Buffer =>
    asBuffer(toBinary(schema, create(schema, request) as MessageShape<I>));
}

function decoder<O extends DescMessage>(schema: O) {
  return (bytes: Buffer): MessageShape<O> => fromBinary(schema, bytes);
}

function asTheyAre(bytes: Buffer): Buffer {
  return bytes;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function failure(error: unknown, signal: AbortSignal | undefined): unknown {
  if (!isStatus(error)) return error;
  const left = error.code === Code.CANCELLED && signal?.aborted;
  return left ? signal.reason : RerankError.fromStatus(error);
}

function isStatus(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error && "metadata" in error;
}
