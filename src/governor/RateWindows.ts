/**
 * The windows of an account, what an operation asks of them, and how a refusal is told. Values and pure functions: knows
 * nobody who waits.
 */
import { Duration } from "effect"
import type { RateScope, RateWindow } from "../domain/Limits.ts"
import { InvalidInput, RateLimited } from "../domain/MailError.ts"
import type { RateBlock, RateRequest } from "./RateStore.ts"

/** One window; for a window per agent, one for each of them. */
export interface Window {
  readonly per: RateScope
  readonly limit: number
  readonly windowMillis: number
  /** The key, or for a window per agent what comes before the agent's name. */
  readonly prefix: string
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

/** A size that is not known yet needs room for one octet; one larger than the window needs all of it. */
export const request = ({ limit, per, windowMillis }: Window, key: string, cost: number): Request => ({
  per,
  key,
  windowMillis,
  limit,
  needs: per === "bytes" ? Math.min(limit, Math.max(1, cost)) : cost,
  cost
})

export const tooMuch = ({ limit, per, windowMillis }: Window, cost: number) =>
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
