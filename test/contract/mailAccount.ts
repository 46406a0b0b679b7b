/**
 * The contract of `MailAccount`, the same for every implementation of mail servers: in memory, on loopback, and the
 * real ones. What passes on a double and fails on the real server is a bug of the double.
 */
import { changing } from "./changing.ts"
import { mailboxes } from "./mailboxes.ts"
import { outbox } from "./outbox.ts"
import { reading } from "./reading.ts"
import { refusing } from "./refusing.ts"
import { searching } from "./searching.ts"
import { sending } from "./sending.ts"
import { sharing } from "./sharing.ts"
import { onSubject, type Subject } from "./Subject.ts"
import { watching } from "./watching.ts"

export const contract = (subject: Subject): void =>
  onSubject(subject, (suite) => {
    mailboxes(suite)
    searching(suite)
    reading(suite)
    changing(suite)
    sending(suite)
    outbox(suite)
    sharing(suite)
    watching(suite)
    refusing(suite)
  })
