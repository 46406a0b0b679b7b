/**
 * When planned sends would leave: the rate windows applied to the plan alone, as if it were performed without a pause.
 * Windows that count every operation, of the account or of an agent, are left out: what else happens is not known here.
 */
import { Duration } from "effect"
import type { RateWindow } from "../domain/Limits.ts"
import { InvalidInput } from "../domain/MailError.ts"

/** What one send counts as in the windows. */
export interface SendCosts {
  readonly send: number
  readonly recipients: number
  readonly bytes: number
}

/** A send of the plan and when it would leave. */
export interface PlannedStart {
  readonly atMillis: number
  readonly costs: SendCosts
}

/**
 * The first moment from `now` on at which all windows let it pass, and the window that holds it back longest.
 * `InvalidInput` where it is more than a window ever lets pass.
 */
export const startOf = (
  rates: ReadonlyArray<RateWindow>,
  starts: ReadonlyArray<PlannedStart>,
  costs: SendCosts,
  now: number
): { readonly atMillis: number; readonly scope: string } | InvalidInput => {
  let atMillis = now
  let scope = ""
  const windows = rates.flatMap((rate) =>
    rate.per === "account" || rate.per === "agent" ? [] : [{ ...rate, per: rate.per }]
  )
  for (const { limit, per, window } of windows) {
    if (costs[per] > limit && per !== "bytes") {
      const problem = `${costs[per]} at once are more than the limit of ${limit} in ${
        Duration.format(window)
      } ever lets pass`
      return new InvalidInput({ field: per, problem })
    }
  }
  for (let isSettled = false; !isSettled;) {
    isSettled = true
    for (const { limit, per, window } of windows) {
      const millis = Duration.toMillis(window)
      const cost = Math.min(limit, costs[per])
      let used = 0
      // from the latest start backwards: the one that no longer fits must have left the window
      for (const start of starts.toReversed()) {
        if (start.atMillis + millis <= atMillis) continue
        used += Math.min(limit, start.costs[per])
        if (used + cost > limit) {
          atMillis = start.atMillis + millis
          scope = per
          isSettled = false
          break
        }
      }
    }
  }
  return { atMillis, scope }
}
