// How calls are repeated and spread: clients/service_config.json, the same for every language.
//
// grpc-js takes balancing and retries from it. It reads `waitForReady` too, and ignores it, so
// that is applied here, call by call.

import { serviceConfig } from "./gen/service_config.js";

interface MethodConfig {
  readonly name: readonly { readonly service: string; readonly method?: string }[];
  readonly waitForReady?: boolean;
}

const METHODS: readonly MethodConfig[] = serviceConfig.methodConfig;

/** The policy as the channel gets it. */
export const CHANNEL_CONFIG: string = JSON.stringify(serviceConfig);

/**
 * Whether a call waits for a connection, up to its deadline, instead of failing at once. An entry
 * for the method comes before one for its service.
 */
export function waitsForReady(service: string, method: string): boolean {
  const named = (wanted: string | undefined) =>
    METHODS.find(({ name }) => name.some((n) => n.service === service && n.method === wanted));
  return (named(method) ?? named(undefined))?.waitForReady ?? false;
}
