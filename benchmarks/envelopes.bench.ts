/** How fast is a mailbox listed: envelopes, flags, sizes, dates and the structure of every message? */
import { Effect, Stream } from "effect"
import type { BodyPart } from "effect-mail"
import type { FetchMessageObject, MessageStructureObject } from "imapflow"
import { crc32 } from "node:zlib"
import { delayed } from "./DelayProxy.ts"
import type { Digest, Subject, Suite } from "./Harness.ts"
import { allOf, imapAccount } from "./Library.ts"
import { type MailboxRecipe, samplesOf } from "./Mail.ts"
import { connectedAll, shares } from "./peers/imapflow.ts"
import { type ImapServer, imapServer } from "./Servers.ts"

/** Sums up what was listed: messages, their sizes, and a checksum over subjects, Message-IDs and section numbers. */
class Listing {
  count = 0
  octets = 0
  checksum = 0

  add(size: number | undefined, ...words: ReadonlyArray<string | undefined>): void {
    this.count++
    this.octets += size ?? 0
    this.checksum = (this.checksum + crc32(words.join("\n"))) >>> 0
  }

  get digest(): Digest {
    return { count: this.count, octets: this.octets, checksum: this.checksum }
  }
}

const leaves = ({ children }: BodyPart): number =>
  children.length === 0 ? 1 : children.reduce((sum, child) => sum + leaves(child), 0)

const bareLeaves = ({ childNodes = [] }: MessageStructureObject): number =>
  childNodes.length === 0 ? 1 : childNodes.reduce((sum, child) => sum + bareLeaves(child), 0)

const library = (server: ImapServer, port: number, connections: number): Subject => ({
  name: "effect-mail",
  role: "library",
  open: Effect.gen(function*() {
    const account = yield* imapAccount(server, port, connections)
    const all = yield* allOf(account, "INBOX")
    return Effect.gen(function*() {
      const listing = new Listing()
      yield* Stream.runForEach(
        account.envelopes(all, { structure: true }),
        ({ messageId, size, structure, subject }) =>
          Effect.sync(() => listing.add(size, subject, messageId, `${structure && leaves(structure)}`))
      )
      return { digest: listing.digest }
    })
  })
})

const items = { envelope: true, flags: true, internalDate: true, size: true, bodyStructure: true } as const

const bare = (
  name: string,
  server: ImapServer,
  port: number,
  connections: number,
  count: number
): Subject => ({
  name,
  role: "peer",
  open: Effect.map(connectedAll(server, port, connections, "INBOX"), (clients) =>
    Effect.promise(async () => {
      const listing = new Listing()
      const ranges = shares(count, connections)
      const add = ({ bodyStructure, envelope, size }: FetchMessageObject) =>
        listing.add(size, envelope?.subject, envelope?.messageId, `${bodyStructure && bareLeaves(bodyStructure)}`)
      await Promise.all(clients.map(async (client, index) => {
        for await (const row of client.fetch(ranges[index] ?? "1:*", items, { uid: true })) add(row)
      }))
      return { digest: listing.digest }
    }))
})

/** Octets and messages as they were made; what their structure is, the clients have to agree on among themselves. */
const held = (recipe: MailboxRecipe): Digest => {
  const samples = samplesOf(recipe)
  return { count: samples.length, octets: samples.reduce((sum, { source }) => sum + source.length, 0) }
}

export const suite: Suite = {
  name: "envelopes",
  question: "How fast is a mailbox listed: envelope, flags, date, size and structure of every message?",
  run: (bench) =>
    Effect.gen(function*() {
      const recipe: MailboxRecipe = { path: "INBOX", count: bench.size(10_000, 500), octets: 500, kind: "mixed" }
      const server = yield* imapServer([recipe])
      const expected = held(recipe)
      for (const roundTrip of bench.size([0, 40], [0])) {
        const port = yield* delayed(server.port, roundTrip)
        for (const connections of [1, 4]) {
          const same = `imapflow, ${connections} connection${connections === 1 ? "" : "s"}`
          yield* bench.measure({
            name: `${recipe.count} messages, ${roundTrip} ms round trip, ${connections} connection${
              connections === 1 ? "" : "s"
            }`,
            expected,
            rounds: 5,
            subjects: [library(server, port, connections), bare(same, server, port, connections, recipe.count)],
            targets: [{ against: same, atMost: 1.1 }],
            bound: "CPU of imapflow, which decodes ENVELOPE and BODYSTRUCTURE for all, in one Node process"
          })
        }
      }
      return server.name
    })
}
