/**
 * How many connections a server really lets an account have. A refusal lowers the effective cap to what is open; after
 * a quiet time it is raised by one again, to see. Pure: state in, state out, time is an argument (milliseconds). Knows
 * counts and times, no connections.
 *
 * A server frees a slot some time after we have closed its connection: a refusal shortly after a close of our own says
 * nothing about the cap, and the connect is tried again a few times before it is believed.
 */

export const defaults = {
  /** A refusal this soon after our own close may be the old slot. */
  lagMillis: 1000,
  /** The waits before the connect is tried again in that case. */
  lagRetries: [50, 100, 200, 400],
  /** How long a lowered cap stays before one more is tried; doubles with each refusal that follows. */
  quietMillis: 60_000,
  longestQuietMillis: 30 * 60_000,
  /** After so many quiet times without a refusal the next one counts as the first. */
  quietTimesToForget: 8,
  /** The wait before the next connect when nothing is open at all; doubles up to the longest. */
  connectMillis: 1000,
  longestConnectMillis: 60_000
} as const

export interface AdaptiveCap {
  readonly configured: number
  /** The effective cap: from 1 to `configured`. */
  readonly cap: number
  /** When `probe` may raise the cap by one; Infinity while it is not lowered. */
  readonly probeAt: number
  readonly quietMillis: number
  readonly refusedAt: number
  /** When a connection of ours closed last. */
  readonly closedAt: number
  /** Connects tried again because of lag, since the last connection opened or the cap was lowered. */
  readonly lags: number
  /** Refusals in a row while nothing was open. */
  readonly shutOut: number
}

export interface Refusal {
  readonly state: AdaptiveCap
  /** No connect before this time. `undefined`: the cap alone decides. */
  readonly connectAt: number | undefined
  /** Taken for a slot that the server has not freed yet. */
  readonly lag: boolean
}

const make = (configured: number): AdaptiveCap => ({
  configured,
  cap: configured,
  probeAt: Infinity,
  quietMillis: defaults.quietMillis,
  refusedAt: -Infinity,
  closedAt: -Infinity,
  lags: 0,
  shutOut: 0
})

/**
 * The server refused one more connection. `open` counts the connections that are logged in, without the refused one.
 * `retryAfterMillis` is what the server asked for, if it did.
 */
const refused = (state: AdaptiveCap, open: number, now: number, retryAfterMillis = 0): Refusal => {
  const wait = defaults.lagRetries[state.lags]
  // Once begun, the retries go on to their end: the last of them is later than `lagMillis` after the close.
  const lag = wait !== undefined && retryAfterMillis === 0 &&
    (state.lags > 0 || now - state.closedAt <= defaults.lagMillis)
  if (lag) return { state: { ...state, lags: state.lags + 1 }, connectAt: now + wait, lag }
  const forgotten = now - state.refusedAt > defaults.quietTimesToForget * state.quietMillis
  const quietMillis = forgotten
    ? defaults.quietMillis
    : Math.min(defaults.longestQuietMillis, state.quietMillis * 2)
  const cap = Math.max(1, Math.min(state.cap, Math.floor(open)))
  const shutOut = open >= 1 ? 0 : state.shutOut + 1
  const wantedMillis = shutOut === 0
    ? retryAfterMillis
    : Math.max(retryAfterMillis, Math.min(defaults.longestConnectMillis, defaults.connectMillis * 2 ** (shutOut - 1)))
  return {
    state: {
      ...state,
      cap,
      quietMillis,
      probeAt: cap < state.configured ? now + Math.max(quietMillis, retryAfterMillis) : Infinity,
      refusedAt: now,
      lags: 0,
      shutOut
    },
    connectAt: wantedMillis === 0 ? undefined : now + wantedMillis,
    lag
  }
}

/** Raises a lowered cap by one when its quiet time is over. Otherwise answers with the same state. */
const probe = (state: AdaptiveCap, now: number): AdaptiveCap => {
  if (now < state.probeAt || state.cap >= state.configured) return state
  const cap = state.cap + 1
  return { ...state, cap, probeAt: cap < state.configured ? now + state.quietMillis : Infinity }
}

/** A connection was opened and logged in. */
const opened = (state: AdaptiveCap): AdaptiveCap =>
  state.lags === 0 && state.shutOut === 0 ? state : { ...state, lags: 0, shutOut: 0 }

/** A connection of ours has closed. */
const closed = (state: AdaptiveCap, now: number): AdaptiveCap => ({ ...state, closedAt: Math.max(state.closedAt, now) })

/** The effective cap as a value. */
export const AdaptiveCap = { make, refused, probe, opened, closed, defaults } as const
