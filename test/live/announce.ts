/** Says once per run which live tests will be skipped and how to enable them. */
import { isRequired, liveServers, missing, reason } from "./available.ts"

export const setup = (): void => {
  if (missing(liveServers).length > 0 && !isRequired) {
    process.stderr.write(`\nLive tests are skipped: ${reason(liveServers)}\n\n`)
  }
}
