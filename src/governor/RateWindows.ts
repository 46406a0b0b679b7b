/**
 * The windows of an account, what an operation asks of them, and how a refusal is told. Values and pure functions: knows
 * nobody who waits.
 */
import { Duration } from "effect"
import type { RateScope, RateWindow } from "../domain/Limits.ts"
import { InvalidInput, RateLimited } from "../domain/MailError.ts"
import type { RateBlock, RateRequest } from "./RateStore.ts"

/** What an operation costs beside its one start for the account and its agent. A scope left out does not apply. */
export interface RateCosts {
  /** Messages sent. */
  readonly send?: number | undefined
  readonly recipients?: number | undefined
  /**
   * Octets known beforehand; 0 where they are counted afterwards with `Permit.charge`. More than a whole window is
   * admitted when that window is empty.
   */
  readonly bytes?: number | undefined
}

/** One window; for a window per agent, one for each of them. */
export interface Window {
  readonly per: RateScope
  readonly limit: number
  readonly windowMillis: number
  /** The key, or for a window per agent what comes before the agent's name. */
  readonly prefix: string
}

/** Operations to which the same windows apply: those that name the same costs. */
export interface Kind {
  readonly windows: ReadonlyArray<Window>
  /** The keys they have in common, whoever their agent is. */
  readonly shared: ReadonlyArray<string>
}

/** What an operation asks of one window. */
export interface Request extends RateRequest {
  readonly per: RateScope
}

/** One window per scope, limit and length, with a key that no other account can have. */
export const windowsOf = (account: string, rates: ReadonlyArray<RateWindow>): ReadonlyArray<Window> => {
  const windows = new Map<string, Window>()
  for (const { limit, per, window } of rates) {
    const windowMillis = Duration.toMillis(window)
    const prefix = `${JSON.stringify(account)}/${per}/${limit}/${windowMillis}/`
    windows.set(prefix, { per, limit, windowMillis, prefix })
  }
  return [...windows.values()]
}

/** Finds the kind of an operation by its costs. */
export const kindsOf = (windows: ReadonlyArray<Window>): (costs: RateCosts) => Kind => {
  const kinds = new Map<number, Kind>()
  return (costs) => {
    const named = (costs.send === undefined ? 0 : 1) + (costs.recipients === undefined ? 0 : 2) +
      (costs.bytes === undefined ? 0 : 4)
    let kind = kinds.get(named)
    if (kind === undefined) {
      const own = windows.filter(({ per }) => costOf(per, costs) !== undefined)
      const shared = own.filter(({ per }) => per !== "agent").map(({ prefix }) => prefix)
      kinds.set(named, kind = { windows: own, shared })
    }
    return kind
  }
}

/** What an operation asks of each of its windows. Fails with `InvalidInput` where one could never hold it. */
export const requestsOf = (
  { windows }: Kind,
  agent: string,
  costs: RateCosts
): ReadonlyArray<Request> | InvalidInput => {
  const requests: Array<Request> = []
  for (const window of windows) {
    const { limit, per, prefix } = window
    const cost = costOf(per, costs) ?? 0
    if (cost > limit && per !== "bytes") return tooMuch(window, cost)
    requests.push(request(window, per === "agent" ? prefix + agent : prefix, cost))
  }
  return requests
}

/** A size that is not known yet needs room for one octet; one larger than the window needs all of it. */
export const request = ({ limit, per, windowMillis }: Window, key: string, cost: number): Request => ({
  per,
  key,
  windowMillis,
  limit,
  needs: per === "bytes" ? Math.min(limit, Math.max(1, cost)) : cost,
  cost
})

const costOf = (per: RateScope, costs: RateCosts): number | undefined =>
  per === "account" || per === "agent" ? 1 : costs[per]

const tooMuch = ({ limit, per, windowMillis }: Window, cost: number) =>
  new InvalidInput({
    field: per,
    problem: `${cost} at once are more than the limit of ${limit} in ${
      Duration.format(Duration.millis(windowMillis))
    } ever lets pass`
  })

export const lastOf = (blocked: ReadonlyArray<RateBlock>): RateBlock | undefined =>
  blocked.length === 0 ? undefined : blocked.reduce((a, b) => b.retryAtMillis > a.retryAtMillis ? b : a)

export const rateLimited = (requests: ReadonlyArray<Request>, blocked: ReadonlyArray<RateBlock>, now: number) =>
  new RateLimited({
    scope: scopeOf(requests, blocked),
    retryAfter: Duration.millis((lastOf(blocked)?.retryAtMillis ?? now) - now)
  })

/** The scope of the window that opens last. */
export const scopeOf = (requests: ReadonlyArray<Request>, blocked: ReadonlyArray<RateBlock>): RateScope => {
  const key = lastOf(blocked)?.key
  return requests.find((request) => request.key === key)?.per ?? "account"
}

/** A store elsewhere may have another clock; asking again at once would only spin. */
export const notBefore = (blocked: ReadonlyArray<RateBlock>, earliest: number): ReadonlyArray<RateBlock> =>
  blocked.map((block) => block.retryAtMillis < earliest ? { ...block, retryAtMillis: earliest } : block)
