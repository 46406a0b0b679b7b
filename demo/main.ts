/**
 * `npm run demo`: the library at work, on a server that the demo starts itself, or, where the environment describes an
 * account, on that account, which it only reads. This is the only file that runs an Effect and sets the exit code.
 */
import { Cause, type Config, Effect, Exit } from "effect"
import { MailAccount, type MailError } from "effect-mail"
import { embedded } from "./embedded.ts"
import { fromEnvironment } from "./environment.ts"
import { Journal } from "./Journal.ts"
import { DemoFailed, sentence } from "./text.ts"

const journal = new Journal(process.stderr)

/** Any of these says that an account of one's own is meant. */
const ofAccount = ["MAIL_HOST", "MAIL_IMAP_HOST", "MAIL_USER", "MAIL_PASSWORD", "MAIL_TOKEN"]

/** `npm run demo -- 5000` takes more messages than the usual number. */
const count = Number(process.argv[2] ?? 600)

const demo: Effect.Effect<void, Config.ConfigError | DemoFailed | MailError> =
  ofAccount.some((name) => process.env[name] !== undefined)
    ? fromEnvironment(journal).pipe(Effect.provide(MailAccount.layerFromEnv))
    : Number.isInteger(count) && count >= 100
    ? Effect.asVoid(Effect.scoped(embedded(journal, count)))
    : Effect.fail(new DemoFailed({ message: "The number of messages must be a whole number, 100 at least." }))

const stopped = new AbortController()
process.once("SIGINT", () => stopped.abort())
process.once("SIGTERM", () => stopped.abort())

const exit = await Effect.runPromiseExit(demo, { signal: stopped.signal })
if (Exit.isFailure(exit)) {
  process.stderr.write(`\n${sentence(exit.cause)}\n`)
  process.exitCode = Cause.hasInterruptsOnly(exit.cause) ? 130 : 1
}
