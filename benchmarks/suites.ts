/** The suites by name, in the order in which they run and are reported. */
import type { Suite } from "./Harness.ts"

export const suites: Readonly<Record<string, () => Promise<Suite>>> = {
  "fetch-single": () => import("./fetch-single.bench.ts").then(({ suite }) => suite),
  agents: () => import("./agents.bench.ts").then(({ suite }) => suite),
  "fetch-many": () => import("./fetch-many.bench.ts").then(({ suite }) => suite),
  parsed: () => import("./parsed.bench.ts").then(({ suite }) => suite),
  envelopes: () => import("./envelopes.bench.ts").then(({ suite }) => suite),
  sends: () => import("./sends.bench.ts").then(({ suite }) => suite),
  memory: () => import("./memory.bench.ts").then(({ suite }) => suite),
  accounts: () => import("./accounts.bench.ts").then(({ suite }) => suite),
  limiter: () => import("./limiter.bench.ts").then(({ suite }) => suite),
  start: () => import("./start.bench.ts").then(({ suite }) => suite)
}
