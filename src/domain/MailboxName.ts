/** What can be said of a mailbox's name without asking a server. */
import { Schema, SchemaTransformation } from "effect"
import { InvalidInput } from "./MailError.ts"

/**
 * The one name of a mailbox: INBOX is the same in any case (RFC 9051 5.1), every other name is as it is written, those
 * below INBOX too. Whatever is named by a mailbox holds this form.
 */
export const mailboxName = (name: string): string => /^inbox$/i.test(name) ? "INBOX" : name

/** The name as it is read from outside. */
export const MailboxName = Schema.String.pipe(
  Schema.decodeTo(Schema.String, SchemaTransformation.transform({ decode: mailboxName, encode: (name) => name }))
)

/** A name that is none, or could end the command it is part of (CR, LF, NUL; RFC 9051 9, string). */
export const badMailboxName = (mailbox: string): InvalidInput | undefined => {
  if (mailbox === "") return new InvalidInput({ field: "mailbox", problem: "is empty" })
  const position = mailbox.search(/[\r\n\0]/)
  return position < 0
    ? undefined
    : new InvalidInput({ field: "mailbox", problem: "a name holds no line break and no NUL", position })
}
