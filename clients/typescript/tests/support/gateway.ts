// The real gateway of the conformance table.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL("../../../../../", import.meta.url));

/** A gateway that serves until it is told to stop. */
export interface Gateway {
  readonly address: string;
  stop(): Promise<void>;
}

/** Starts it over played backends, with the collection `papers` in it. */
export async function startGateway(): Promise<Gateway> {
  const process_ = spawn(`${ROOT}.venv/bin/python`, ["-m", "clients.conformance"], {
    cwd: ROOT,
    env: { ...process.env, PYTHONPATH: ".:protos" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const address = await firstLine(process_);
  return {
    address: JSON.parse(address).address,
    async stop() {
      const ended = once(process_, "exit");
      process_.stdin?.end();
      await ended;
    },
  };
}

async function firstLine(process_: ChildProcess): Promise<string> {
  if (process_.stdout === null) throw new Error("it is a pipe");
  for await (const line of createInterface(process_.stdout)) return line;
  throw new Error("the gateway did not start");
}
