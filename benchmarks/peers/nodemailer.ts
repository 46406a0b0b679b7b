/** nodemailer as it is best used by hand: its pool with as many connections, none of them replaced; or no pool at all. */
import { Effect, type Scope } from "effect"
import { createTransport } from "nodemailer"
import type { letterOf } from "../Mail.ts"

type Letter = ReturnType<typeof letterOf>

const account = (port: number) => ({
  host: "127.0.0.1",
  port,
  secure: false,
  ignoreTLS: true,
  auth: { user: "user0", pass: "secret" },
  logger: false,
  disableFileAccess: true,
  disableUrlAccess: true
})

/** Sends through the pool; all are given to it at once, and it takes them as it has room. */
export const pool = (
  port: number,
  connections: number
): Effect.Effect<(letters: ReadonlyArray<Letter>) => Promise<unknown>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        createTransport({ ...account(port), pool: true, maxConnections: connections, maxMessages: Infinity })
      ),
      (transport) => Effect.sync(() => transport.close())
    ),
    (transport) => (letters) => Promise.all(letters.map((letter) => transport.sendMail(letter)))
  )

/** A connection for each message, so many at a time. */
export const perMessage = (port: number, connections: number) => async (letters: ReadonlyArray<Letter>) => {
  const transport = createTransport(account(port))
  const waiting = letters.values()
  await Promise.all(Array.from({ length: connections }, async () => {
    for (const letter of waiting) await transport.sendMail(letter)
  }))
}
