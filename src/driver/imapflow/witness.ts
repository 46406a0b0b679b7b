/**
 * Hears what imapflow does not say: many of its methods answer `false` or nothing for a refusal and for a lost
 * connection alike, but report the raw error to their logger before they return. Only the three loud levels have a
 * method here, so that no line is built for the quiet ones, which would cost as much as parsing a row.
 */
import type { ImapFlowError, Logger } from "./client.ts"

/** What a loud log entry of imapflow may carry. */
interface Entry {
  readonly err?: ImapFlowError
  readonly msg?: unknown
  readonly command?: unknown
  readonly truncated?: unknown
  readonly discarded?: unknown
}

/** The last errors decide, and an IDLE may hear many before the next command begins. */
const keptErrors = 16

export class Witness {
  /** The last errors since `begin`, oldest first. */
  errors: Array<ImapFlowError> = []
  /** Why an answer of the server is not whole; undefined while it is. */
  incomplete: string | undefined
  /** What took the connection down; at most one. */
  fatal: ImapFlowError | undefined
  /** Called at once when the server throttles: imapflow would wait inside the command, where nobody else can hear it. */
  onThrottle: ((error: ImapFlowError) => void) | undefined

  begin(): void {
    this.errors = []
    this.incomplete = undefined
  }

  /** The last refusal. An IDLE ends inside another command, and its refusal is none of that command's. */
  refusal(): ImapFlowError | undefined {
    return this.errors.findLast((error) => isRefusal(error) && !isOf(error, "IDLE"))
  }

  readonly #hear = (entry: Entry): void => {
    const { err } = entry
    if (entry.truncated === true || entry.discarded === true) {
      this.incomplete = "a search answer that is not a set of UIDs"
    }
    if (err === undefined) return
    this.errors.push(err)
    if (this.errors.length > keptErrors) this.errors.shift()
    if (err.code === "ETHROTTLE") this.onThrottle?.(err)
    if (entry.msg === "Failed to process untagged response") this.incomplete = `an unreadable ${String(entry.command)}`
    if (typeof entry.msg === "string" && /^\* \d+ FETCH/i.test(entry.msg)) this.incomplete = "an unreadable FETCH"
  }

  // imapflow takes any object and asks which levels it has; its type wants them all.
  readonly logger = { warn: this.#hear, error: this.#hear, fatal: this.#hear } as unknown as Logger
}

export const isRefusal = (error: ImapFlowError): boolean =>
  error.responseStatus === "NO" || error.responseStatus === "BAD"

const isOf = (error: ImapFlowError, command: string): boolean =>
  new RegExp(`^\\S+ ${command}\\b`).test(error.executedCommand ?? "")

/** The response code. `fetch` leaves the parsed response in place of its text, and the code inside it. */
export const codeOf = (error: ImapFlowError): string | undefined => {
  if (error.serverResponseCode !== undefined) return error.serverResponseCode
  if (typeof error.response !== "object") return undefined
  const first = error.response.attributes?.[0]
  if (first === null || first === undefined || Array.isArray(first)) return undefined
  const code = first.section?.[0]
  if (code === null || code === undefined || Array.isArray(code)) return undefined
  return typeof code.value === "string" ? code.value : undefined
}
