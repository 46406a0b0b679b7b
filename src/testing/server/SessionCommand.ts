/** The shape of an IMAP command's handler, and the state a session must be in for it (RFC 9051 3). */
import type { Session } from "./Session.ts"
import type { Arguments } from "./Tokens.ts"

/** One command as it came. `byUid` for the UID forms of FETCH, STORE, SEARCH, COPY, MOVE, EXPUNGE. */
export interface Command {
  readonly session: Session
  readonly tag: string
  readonly verb: string
  readonly byUid: boolean
  readonly args: Arguments
}

/** What a session can be asked. */
export interface CommandHandler {
  readonly state: "any" | "authenticated" | "selected"
  /** The capability without which the command is unknown. */
  readonly needs?: string
  /** There is a UID form. */
  readonly byUid?: boolean
  /** The handler asks for faults itself, as it learns late what they depend on. */
  readonly takesOwnFaults?: boolean
  /** The text after `OK`, or undefined where the handler has answered. Throws `Refusal` for NO and BAD. */
  readonly run: (command: Command) => string | undefined | Promise<string | undefined>
}

export type Commands = { readonly [verb: string]: CommandHandler | undefined }
