/** Writes every message of a mailbox into a folder, one file each, and tells how far it is. */
import { Effect, Stream } from "effect"
import { MailAccount, MessageSet, Query } from "effect-mail"
import { mkdir, readdir, rename, writeFile } from "node:fs/promises"
import { join } from "node:path"

// #region program
export interface Progress {
  readonly done: number
  readonly of: number
}

/** Messages that are there already are not fetched again, so an export that was stopped goes on where it was. */
export const exportMailbox = (mailbox: string, folder: string) =>
  Stream.unwrap(Effect.gen(function*() {
    const mail = yield* MailAccount
    const all = yield* mail.search(Query.in(mailbox))
    yield* Effect.tryPromise(() => mkdir(folder, { recursive: true }))
    const there = new Set(yield* Effect.tryPromise(() => readdir(folder)))
    const nameOf = (uid: number) => `${all.uidValidity}-${uid}.eml`
    const missing = MessageSet.of(all.mailbox, all.uidValidity, all.uids.filter((uid) => !there.has(nameOf(uid))))
    const before = all.size - missing.size

    return mail.fetch(missing, { source: true }).pipe(
      // Written under another name first: a file with its own name is complete.
      Stream.mapEffect(({ ref, source }) =>
        Effect.tryPromise(async () => {
          const path = join(folder, nameOf(ref.uid))
          await writeFile(`${path}.part`, source)
          await rename(`${path}.part`, path)
        })
      ),
      Stream.zipWithIndex,
      Stream.map(([, index]): Progress => ({ done: before + index + 1, of: all.size }))
    )
  }))
// #endregion
