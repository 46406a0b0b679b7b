/** What can be said of a mailbox's name without asking a server. */
import { InvalidInput } from "./MailError.ts"

/** A name that is none, or could end the command it is part of (CR, LF, NUL; RFC 9051 9, string). */
export const badMailboxName = (mailbox: string): InvalidInput | undefined => {
  if (mailbox === "") return new InvalidInput({ field: "mailbox", problem: "is empty" })
  const position = mailbox.search(/[\r\n\0]/)
  return position < 0
    ? undefined
    : new InvalidInput({ field: "mailbox", problem: "a name holds no line break and no NUL", position })
}
