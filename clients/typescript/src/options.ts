// What a caller says when it makes a client, and what it says call by call.

import type { ChannelOptions } from "@grpc/grpc-js";

/** How a client reaches the gateway, and what holds for all of its calls. */
export interface ClientOptions {
  /** Speak TLS. True: trust what Node trusts. Default: false. */
  readonly tls?: boolean | TlsOptions | undefined;
  /**
   * Sent with each call as `authorization: Bearer …`; a function is asked for each call. Without
   * TLS it crosses the network in the clear.
   */
  readonly token?: string | (() => string) | undefined;
  /** Deadline of each call in milliseconds; of a stream as a whole. Default: 10 000. */
  readonly timeoutMs?: number | undefined;
  /** Asked for metadata for each call, when it is made: for a trace context, for example. */
  readonly metadata?: (() => Readonly<Record<string, string>>) | undefined;
  /** Options of the channel of `@grpc/grpc-js`, such as `grpc.max_receive_message_length`. */
  readonly channel?: ChannelOptions | undefined;
}

/** Certificates in PEM. */
export interface TlsOptions {
  /** Whom to trust. Default: what Node trusts. */
  readonly ca?: string | Uint8Array | undefined;
  /** The client's own certificate, where the server asks for one. Needs `key`. */
  readonly cert?: string | Uint8Array | undefined;
  /** The private key of `cert`. */
  readonly key?: string | Uint8Array | undefined;
}

/** What holds for one call. */
export interface CallOptions {
  /** Deadline in milliseconds: more than 0, at most 2^31 - 1. For a stream, of the whole stream. */
  readonly timeoutMs?: number | undefined;
  /** Cancels the call. It then throws `signal.reason`, as `fetch` does. */
  readonly signal?: AbortSignal | undefined;
  /** More metadata. Wins over the client's. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /**
   * Whether to wait for a connection until the deadline. False: fail at once with UNAVAILABLE
   * while there is none. Default: true, except for health.
   */
  readonly waitForReady?: boolean | undefined;
}
