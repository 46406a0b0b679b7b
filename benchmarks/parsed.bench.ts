/** How fast is a whole mailbox read, when every message is also taken apart? */
import { Effect, Stream } from "effect"
import type { ImapFlow } from "imapflow"
import { simpleParser, type SimpleParserOptions } from "mailparser"
import PostalMime from "postal-mime"
import type { Bench, Digest, Outcome, Subject, Suite } from "./Harness.ts"
import { allOf, imapAccount } from "./Library.ts"
import { type MailboxRecipe, messagesOf, type Reading, ReadingTally } from "./Mail.ts"
import { connected } from "./peers/imapflow.ts"
import { pythonFetch, pythonMissing } from "./peers/python.ts"
import { type ImapServer, imapServer } from "./Servers.ts"

/** Without what it derives from the message: text from HTML, HTML from text, links, images in the HTML. */
const nothingDerived: SimpleParserOptions = {
  skipHtmlToText: true,
  skipTextToHtml: true,
  skipTextLinks: true,
  skipImageLinks: true
}

const readSimply = (options: SimpleParserOptions) => async (source: Buffer): Promise<Reading> => {
  const { attachments, html, subject, text } = await simpleParser(source, options)
  return { subject, text, html: html === false ? "" : html, attachments: attachments.map(({ size }) => size) }
}

const readByPostalMime = async (source: Buffer): Promise<Reading> => {
  const { attachments, html, subject, text } = await PostalMime.parse(source)
  return {
    subject,
    text,
    html,
    attachments: attachments.map(({ content }) => typeof content === "string" ? content.length : content.byteLength)
  }
}

/** Each run has a tally of its own, and that of the first, which warms up, is thorough. */
const tallied = <E>(read: (tally: ReadingTally) => Effect.Effect<void, E>): Effect.Effect<Outcome, E> => {
  let isFirst = true
  return Effect.suspend(() => {
    const tally = new ReadingTally(isFirst)
    isFirst = false
    return Effect.map(read(tally), () => ({ digest: tally.digest }))
  })
}

const library = (server: ImapServer): Subject => ({
  name: "effect-mail",
  role: "library",
  open: Effect.gen(function*() {
    const account = yield* imapAccount(server, server.port, 1)
    const all = yield* allOf(account, "INBOX")
    return tallied((tally) =>
      Stream.runForEach(
        account.messages(all),
        ({ attachments, html, subject, text }) =>
          Effect.sync(() => tally.add({ subject, text, html, attachments: attachments.map(({ size }) => size) }))
      )
    )
  })
})

/** imapflow with a parser in its loop: flags and date are read too, as the library does. */
const looped = (
  name: string,
  server: ImapServer,
  parse: (source: Buffer) => Promise<Reading>,
  expected?: Digest
): Subject => ({
  name,
  role: "peer",
  ...(expected === undefined ? {} : { expected }),
  open: Effect.map(
    connected(server, server.port, "INBOX"),
    (client) => tallied((tally) => Effect.promise(() => readAll(client, parse, tally)))
  )
})

const readAll = async (client: ImapFlow, parse: (source: Buffer) => Promise<Reading>, tally: ReadingTally) => {
  const items = { source: true, flags: true, internalDate: true } as const
  for await (const { source } of client.fetch("1:*", items, { uid: true })) {
    if (source !== undefined) tally.add(await parse(source))
  }
}

/** What the messages hold, as mailparser reads them where they are made. */
const held = async (recipe: MailboxRecipe): Promise<{ readonly digest: Digest; readonly octets: number }> => {
  const tally = new ReadingTally(true)
  const parse = readSimply(nothingDerived)
  let octets = 0
  for (const source of messagesOf(recipe)) {
    octets += source.length
    tally.add(await parse(Buffer.from(source)))
  }
  return { digest: tally.digest, octets }
}

const compare = Effect.fnUntraced(function*(bench: Bench, recipe: MailboxRecipe) {
  const server = yield* imapServer([recipe])
  const { digest: expected, octets } = yield* Effect.promise(() => held(recipe))
  const usual = "imapflow + simpleParser"
  const lean = "imapflow + simpleParser, nothing derived"
  const python = "imap_tools (Python)"
  yield* bench.measure({
    name: `${recipe.count} messages of ${(octets / recipe.count / 1000).toFixed(1)} kB on average`,
    expected,
    rounds: 3,
    subjects: [
      library(server),
      // It makes HTML of texts and texts of HTML, so its texts are others: messages and attachments are compared.
      looped(usual, server, readSimply({}), { ...expected, checksum: undefined }),
      looped(lean, server, readSimply(nothingDerived)),
      looped("imapflow + postal-mime", server, readByPostalMime),
      {
        name: python,
        role: "peer",
        skip: pythonMissing("imap_tools"),
        open: pythonFetch("imap_tools_parsed", server, server.port)
      }
    ],
    targets: [{ against: usual, atMost: 1 / 1.5 }],
    bound: "CPU of the parser, in one Node process; one connection each"
  })
  return server.name
})

export const suite: Suite = {
  name: "parsed",
  question: "How fast is a whole mailbox read and parsed: headers, texts and attachments of every message?",
  run: (bench) =>
    Effect.gen(function*() {
      const recipe = { path: "INBOX", kind: "alike" } as const
      const small = { ...recipe, count: bench.size(10_000, 200), octets: 2_000 }
      const large = { ...recipe, count: bench.size(1_000, 10), octets: 70_000 }
      const name = yield* Effect.scoped(compare(bench, small))
      yield* Effect.scoped(compare(bench, large))
      return name
    })
}
