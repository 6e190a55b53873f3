// The connections to the gateway and the calls that are open on them.

import type { DescMethod } from "@bufbuild/protobuf";
import { type ChannelOptions, Client, credentials, Metadata } from "@grpc/grpc-js";
import type { CallOptions, ClientOptions, TlsOptions } from "./options.js";
import { CHANNEL_CONFIG, waitsForReady } from "./policy.js";

const DEFAULT_TIMEOUT_MS = 10_000;
// What a timer of Node can wait: more would end the call at once.
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;
const MIB = 1024 * 1024;

const CHANNEL_OPTIONS: ChannelOptions = {
  "grpc.service_config": CHANNEL_CONFIG,
  // Nor is the DNS asked for another policy.
  "grpc.service_config_disable_resolution": 1,
  // A request that does not fit is sent once only. The default of 1 MiB is less than a long list
  // of documents; the gateway takes messages of up to 32 MiB.
  "grpc.per_rpc_retry_buffer_size": 33 * MIB,
  "grpc.retry_buffer_size": 132 * MIB,
};

/** A call that can be given up. */
interface Open {
  cancel(): void;
}

/** What gRPC needs to know of a call that starts. */
export interface Start {
  readonly metadata: Metadata;
  readonly timeoutMs: number;
}

/** One or several connections, shared by all calls of a client. */
export class Channel {
  readonly #client: Client;
  readonly #options: ClientOptions;
  readonly #open = new Set<Open>();
  #closed = false;

  constructor(address: string, options: ClientOptions) {
    this.#options = options;
    this.#client = new Client(address, credentialsOf(options.tls ?? false), {
      ...CHANNEL_OPTIONS,
      ...options.channel,
    });
  }

  /** What makes calls. Throws when the channel is closed. */
  get grpc(): Client {
    if (this.#closed) throw new Error("the client is closed");
    return this.#client;
  }

  /**
   * Joins what holds for the method, for the client and for this call.
   *
   * Asked when the call is made, not when its answers are read: then the caller's trace context
   * is the active one.
   */
  start(method: DescMethod, call: CallOptions): Start {
    const timeoutMs = call.timeoutMs ?? this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    if (!(timeoutMs > 0 && timeoutMs <= LONGEST_TIMEOUT_MS)) {
      throw new RangeError(`timeoutMs is ${timeoutMs}: more than 0, at most ${LONGEST_TIMEOUT_MS}`);
    }
    const waitForReady = call.waitForReady ?? waitsForReady(method.parent.typeName, method.name);
    const metadata = new Metadata({ waitForReady });
    const { token } = this.#options;
    if (token !== undefined) {
      metadata.set("authorization", `Bearer ${typeof token === "string" ? token : token()}`);
    }
    for (const [key, value] of Object.entries({
      ...this.#options.metadata?.(),
      ...call.metadata,
    })) {
      metadata.set(key, value);
    }
    return { metadata, timeoutMs };
  }

  /** Gives the call up when the signal says so or the channel is closed. Answers how to let go. */
  watch(open: Open, signal: AbortSignal | undefined): () => void {
    const cancel = () => open.cancel();
    this.#open.add(open);
    signal?.addEventListener("abort", cancel, { once: true });
    return () => {
      this.#open.delete(open);
      signal?.removeEventListener("abort", cancel);
    };
  }

  /** Cancels what is open, and disconnects. */
  close(): void {
    this.#closed = true;
    for (const open of this.#open) open.cancel();
    this.#client.close();
  }
}

function credentialsOf(tls: boolean | TlsOptions) {
  if (tls === false) return credentials.createInsecure();
  const { ca, cert, key } = tls === true ? {} : tls;
  return credentials.createSsl(pem(ca), pem(key), pem(cert));
}

function pem(text: string | Uint8Array | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(text);
}
