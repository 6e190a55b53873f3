// The table that every client is held to, against a real gateway.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import {
  createRegistry,
  type DescMethod,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import {
  BackendService,
  Code,
  DocumentService,
  ErrorReason,
  RerankClient,
  RerankError,
  RerankService,
  SearchService,
} from "@rerank-gateway/client";
import { difference, steady } from "./support/comparing.js";
import { type Gateway, ROOT, startGateway } from "./support/gateway.js";

interface Call {
  readonly method: string;
  readonly request?: JsonValue;
  readonly requests?: readonly JsonValue[];
  readonly timeout_s?: number;
  readonly response?: JsonValue;
  readonly responses?: JsonValue;
  readonly error?: JsonObject;
  readonly volatile?: readonly string[];
}

interface Case {
  readonly name: string;
  readonly calls: readonly Call[];
}

const CASES = `${ROOT}clients/conformance/cases/`;
const SERVICES = createRegistry(BackendService, DocumentService, RerankService, SearchService);

let gateway: Gateway;
let client: RerankClient;

before(async () => {
  gateway = await startGateway();
  client = new RerankClient(gateway.address);
});

after(async () => {
  client?.close();
  await gateway?.stop();
});

for (const file of readdirSync(CASES)) {
  describe(file, () => {
    const cases: Case[] = JSON.parse(readFileSync(CASES + file, "utf-8"));
    for (const { name, calls } of cases) {
      it(name, async () => {
        for (const call of calls) await held(call);
      });
    }
  });
}

async function held(call: Call): Promise<void> {
  const method = methodOf(call.method);
  const volatile = new Set(["duration", ...(call.volatile ?? [])]);
  const expected = call.error ?? call.response ?? call.responses;
  let got: JsonValue;
  try {
    got = await answered(method, call);
  } catch (error) {
    assert(error instanceof RerankError, `${call.method} threw ${error}`);
    got = shown(error);
  }
  assert.equal(difference(steady(got, volatile), steady(expected ?? null, volatile)), "");
}

/** What the method of the client answers, in JSON. */
async function answered(method: DescMethod, call: Call): Promise<JsonValue> {
  const options = call.timeout_s === undefined ? {} : { timeoutMs: call.timeout_s * 1000 };
  const ask = client[method.localName as "rerank"].bind(client) as unknown as (
    request: unknown,
    call: object,
  ) => Promise<Message> | AsyncIterable<Message>;
  const read = (json: JsonValue) => fromJson(method.input, json);
  const told = ask(call.requests?.map(read) ?? read(call.request ?? {}), options);
  if (!(Symbol.asyncIterator in told)) return toJson(method.output, await told);

  const answers: JsonObject[] = [];
  for await (const answer of told) answers.push(toJson(method.output, answer) as JsonObject);
  // The answers to a batch come in any order.
  const key = (answer: JsonObject) => String(answer.requestId ?? "");
  return answers.sort((a, b) => (key(a) < key(b) ? -1 : Number(key(a) > key(b))));
}

/** The error as the table writes it, from what a caller of the client sees. */
function shown(error: RerankError): JsonValue {
  const { code, reason, metadata, violations } = error;
  return {
    code: Code[code],
    reason: `ERROR_REASON_${ErrorReason[reason]}`,
    metadata: { ...metadata },
    ...(violations.length > 0 && { violations: violations.map((each) => ({ ...each })) }),
  };
}

function methodOf(path: string): DescMethod {
  const [service = "", name] = path.split("/");
  const method = SERVICES.getService(service)?.methods.find((each) => each.name === name);
  assert(method, `there is no ${path}`);
  return method;
}
