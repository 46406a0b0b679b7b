/** The pace of an account, as its own limits set it. */
import { Duration } from "effect"
import { Limits, RateWindow } from "effect-mail"

// #region limits
/** Ten requests a minute. Whoever asks for more waits in order, for five minutes at most. */
export const unhurried = new Limits({
  rates: [new RateWindow({ per: "account", limit: 10, window: Duration.minutes(1) })],
  maxWait: Duration.minutes(5)
})
// #endregion
