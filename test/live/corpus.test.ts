/** Messages written by other programs, where they are at hand: filed at a real server, and read back as they were. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { canonical } from "../../src/driver/LineEnds.ts"
import { Query } from "../../src/index.ts"
import { fileAll } from "../contract/letters.ts"
import { guarded, Worlds } from "../contract/Subject.ts"
import { missing } from "./available.ts"
import { DovecotSubject } from "./DovecotSubject.ts"

const directory = new URL("../../../shared/corpus", import.meta.url).pathname

/** Folder -> its messages, with line ends as they are on the wire. */
const folders = new Map<string, Array<readonly [name: string, source: Buffer]>>()
for (const name of existsSync(directory) ? readdirSync(directory, { recursive: true, encoding: "utf8" }).sort() : []) {
  if (!name.endsWith(".eml")) continue
  const folder = name.split("/").slice(0, -1).join("/")
  folders.set(folder, [...folders.get(folder) ?? [], [name, canonical(readFileSync(join(directory, name)))]])
}

const tests = () =>
  layer(DovecotSubject.layer, { excludeTestServices: true })((it) => {
    for (const [folder, messages] of folders) {
      it.effect(`reads back what was filed, octet for octet, and parses it: ${folder}`, () =>
        Effect.gen(function*() {
          const worlds = yield* Worlds
          yield* guarded(yield* worlds.make({}), ({ open }) =>
            Effect.gen(function*() {
              const ann = yield* open("ann")
              const refs = yield* fileAll(ann, "INBOX", messages.map(([, source]) => source))
              const fetched = yield* Stream.runCollect(ann.fetch(Query.inbox, { source: true, size: true }))
              const parsed = yield* Stream.runCollect(ann.messages(Query.inbox))
              const envelopes = yield* Stream.runCollect(ann.envelopes(Query.inbox, { structure: true }))
              assert.deepStrictEqual([fetched.length, parsed.length, envelopes.length], Array(3).fill(refs.length))
              for (const [index, [name, source]] of messages.entries()) {
                const ref = refs[index]
                if (ref === undefined) return assert.fail(name)
                const pages = yield* Stream.runCollect(ann.source(ref))
                assert.isTrue(source.equals(Buffer.concat(pages)), `source of ${name}`)
                assert.isTrue(source.equals(fetched[index]?.source ?? Buffer.of()), `fetch of ${name}`)
                assert.strictEqual(parsed[index]?.size, source.length, name)
                assert.deepStrictEqual(parsed[index]?.ref, ref, name)
              }
            }))
        }))
    }
  })

if (folders.size === 0) {
  describe.skip("messages of other programs (there are none beside this project)", () => undefined)
} else if (missing(["dovecot", "lmtp", "postfix"]).length > 0) {
  describe.skip("messages of other programs (no server)", tests)
} else describe("messages of other programs", tests)
