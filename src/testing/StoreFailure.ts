/**
 * Why a store refuses: a plain value with the IMAP response code that names it (RFC 9051 7.1, RFC 5530), so that every
 * server in front of the store can say it in its own protocol. It is returned, never thrown.
 */

/** The response codes a store refuses with. */
export type StoreFailureCode = "NONEXISTENT" | "ALREADYEXISTS" | "TRYCREATE" | "OVERQUOTA" | "CANNOT"

/** A refusal of a store; `text` is for a person and holds no secret. */
export class StoreFailure {
  readonly _tag = "StoreFailure"
  readonly code: StoreFailureCode
  readonly text: string

  constructor(code: StoreFailureCode, text: string) {
    this.code = code
    this.text = text
  }
}
