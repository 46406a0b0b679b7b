/**
 * The contract of `MailAccount`, the same for every implementation of mail servers: in memory, on loopback, and the
 * real ones. What passes on a double and fails on the real server is a bug of the double.
 */
import { mailboxes } from "./mailboxes.ts"
import { onSubject, type Subject } from "./Subject.ts"

export const contract = (subject: Subject): void =>
  onSubject(subject, (suite) => {
    mailboxes(suite)
  })
