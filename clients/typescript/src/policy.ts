// How calls are timed and repeated: clients/service_config.json, the same for every language.
//
// grpc-js takes balancing and retries from it. Two entries it does not serve as the clients
// promise: it reads `waitForReady` and ignores it, and it takes `timeout` for a bound that no
// caller can exceed. Both are applied here instead, call by call.

import { serviceConfig } from "./gen/service_config.js";

interface MethodConfig {
  readonly name: readonly { readonly service: string; readonly method?: string }[];
  readonly timeout?: string;
  readonly waitForReady?: boolean;
}

/** What holds for a call of one method unless its caller says otherwise. */
export interface Policy {
  /** Deadline in milliseconds. Undefined: the method has none of its own. */
  readonly timeoutMs: number | undefined;
  /** Whether a call waits for a connection, up to its deadline, instead of failing at once. */
  readonly waitForReady: boolean;
}

const METHODS: readonly MethodConfig[] = serviceConfig.methodConfig;

/** The service config as the channel gets it: without the timeouts. */
export const CHANNEL_CONFIG: string = JSON.stringify({
  ...serviceConfig,
  methodConfig: serviceConfig.methodConfig.map((config) => ({ ...config, timeout: undefined })),
});

/** The policy of a method; an entry for the method comes before one for its service. */
export function policyOf(service: string, method: string): Policy {
  const named = (wanted: string | undefined) =>
    METHODS.find(({ name }) => name.some((n) => n.service === service && n.method === wanted));
  const config = named(method) ?? named(undefined);
  return {
    timeoutMs: config?.timeout === undefined ? undefined : Number.parseFloat(config.timeout) * 1000,
    waitForReady: config?.waitForReady ?? false,
  };
}
