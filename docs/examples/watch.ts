/** Keeps a table of the INBOX in a file. What was told and the cursor to go on from are written in one step. */
import { Effect, Option, Stream } from "effect"
import { type Changes, Cursor, MailAccount, MessageSet } from "effect-mail"
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

// #region table
/** The flags of each message by UID, and the cursor this is the state of. */
interface Table {
  readonly cursor: string
  readonly messages: Readonly<Record<string, ReadonlyArray<string>>>
}

const empty: Table = { cursor: Cursor.encode(Cursor.start("INBOX")), messages: {} }

/** The table after a batch. */
const after = (table: Table, { cursor, events }: Changes): Table => {
  const messages = new Map(Object.entries(table.messages))
  for (const event of events) {
    if (event._tag === "Reset") messages.clear()
    else if (event._tag === "Expunged") messages.delete(`${event.ref.uid}`)
    else messages.set(`${event.ref.uid}`, event.flags)
  }
  return { cursor: Cursor.encode(cursor), messages: Object.fromEntries(messages) }
}
// #endregion

const read = (path: string) =>
  Effect.promise(() => readFile(path, "utf8").then((text): Table => JSON.parse(text), () => empty))

/** A rename is one step: whoever reads the file sees the table before or after, never half of it. */
const write = (path: string, table: Table) =>
  Effect.promise(() => writeFile(`${path}.new`, JSON.stringify(table)).then(() => rename(`${path}.new`, path)))

// #region follow
/** The table each time it has changed, from what the file holds, for as long as the stream is run. */
export const follow = (path: string) =>
  Stream.unwrap(Effect.gen(function*() {
    const mail = yield* MailAccount
    const stored = yield* read(path)
    const since = yield* Cursor.decode(stored.cursor)
    return mail.watch("INBOX", { since }).pipe(
      Stream.mapAccum(() => stored, (table, changes) => {
        const next = after(table, changes)
        return [next, [next]] as const
      }),
      Stream.tap((table) => write(path, table))
    )
  }))
// #endregion

/** Runs the program twice, and another client in between. */
export const main = Effect.gen(function*() {
  const mail = yield* MailAccount
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "watch-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true }))
  )
  const once = follow(join(folder, "inbox.json")).pipe(
    Stream.runHead,
    Effect.map(Option.map(({ messages }) => messages))
  )
  const before = yield* once
  const { cursor } = yield* mail.changes("INBOX")
  const first = MessageSet.of("INBOX", cursor.uidValidity, [1])
  yield* mail.append("INBOX", new TextEncoder().encode("Subject: new\r\n\r\nHello\r\n"))
  yield* mail.flag(first, { add: ["\\Flagged"] })
  return { before: Option.getOrNull(before), after: Option.getOrNull(yield* once) }
})
