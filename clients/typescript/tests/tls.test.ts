// TLS, with certificates that `openssl` makes.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ServerCredentials, type sendUnaryData } from "@grpc/grpc-js";
import {
  Code,
  RerankClient,
  type RerankResponse,
  RerankResponseSchema,
  RerankService,
} from "@rerank-gateway/client";
import { type Played, play } from "./support/played.js";

const REQUEST = { query: "capital of France", documents: ["Rome", "Paris"] };
const OPENSSL = spawnSync("openssl", ["version"]).status === 0;
const SKIP = !OPENSSL && process.env.CI === undefined && "openssl is not installed";

function rerank(_: unknown, answer: sendUnaryData<RerankResponse>): void {
  answer(null, create(RerankResponseSchema));
}

describe("TLS", { skip: SKIP }, () => {
  let cert: Buffer;
  let key: Buffer;
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "rerank-client-"));
    const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    execFileSync(
      "openssl",
      [
        ...["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
        ...["-days", "2", "-subj", "/CN=gateway", "-addext", "subjectAltName=DNS:localhost"],
        ...["-out", certFile, "-keyout", keyFile],
      ],
      { stdio: "pipe" },
    );
    cert = readFileSync(certFile);
    key = readFileSync(keyFile);
  });

  after(() => rmSync(folder, { recursive: true }));

  async function serving({ askForCert = false } = {}): Promise<Played> {
    const pair = { cert_chain: cert, private_key: key };
    const credentials = ServerCredentials.createSsl(askForCert ? cert : null, [pair], askForCert);
    const played = await play(RerankService, { rerank }, { credentials });
    return { ...played, address: played.address.replace("127.0.0.1", "localhost") };
  }

  it("trusts whom it is told to", async () => {
    await using gateway = await serving();
    await using client = new RerankClient(gateway.address, { tls: { ca: cert }, token: "key" });
    await client.rerank(REQUEST);
  });

  it("trusts nobody else", async () => {
    await using gateway = await serving();
    await using client = new RerankClient(gateway.address, { tls: true });
    const answer = client.rerank(REQUEST, { waitForReady: false });
    await assert.rejects(answer, { code: Code.UNAVAILABLE });
  });

  it("shows a certificate where it is asked for one", async () => {
    await using gateway = await serving({ askForCert: true });
    const tls = { ca: cert.toString(), cert: cert.toString(), key: key.toString() };
    await using client = new RerankClient(gateway.address, { tls });
    await client.rerank(REQUEST);
    await using stranger = new RerankClient(gateway.address, { tls: { ca: cert } });
    const answer = stranger.rerank(REQUEST, { waitForReady: false });
    await assert.rejects(answer, { code: Code.UNAVAILABLE });
  });
});
