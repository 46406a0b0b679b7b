/**
 * What a draft attaches, as octets in memory: bounded while they are read, so that nothing endless is read to its end.
 * Knows nothing of the message they become part of.
 */
import { Cause, Effect, Stream } from "effect"
import { readFile, stat } from "node:fs/promises"
import { basename } from "node:path"
import { Attachment, Draft } from "../domain/Draft.ts"
import { InvalidInput, TooLarge } from "../domain/MailError.ts"

/**
 * A draft that refers to nothing outside: what its attachments name by path or stream is read into it. Fails with
 * `InvalidInput` for what cannot be read, and with `TooLarge` for more octets than `maxBytes`.
 */
export const withAttachmentBytes = Effect.fnUntraced(function*(
  draft: Draft,
  maxBytes: number
): Effect.fn.Return<Draft, InvalidInput | TooLarge> {
  if (draft.attachments === undefined) return draft
  let before = 0
  const attachments = yield* Effect.forEach(draft.attachments, (attachment, index) =>
    Effect.map(
      readContent(`attachments[${index}]`, attachment.content, { before, limit: maxBytes }),
      ({ filename, octets }) => {
        before += octets.length
        return "bytes" in attachment.content || "text" in attachment.content ? attachment : new Attachment({
          ...(filename === undefined ? {} : { filename }),
          ...attachment,
          content: { bytes: octets }
        })
      }
    ))
  return new Draft({ ...draft, attachments })
})

/** The octets that are in memory already, and how many there may be. */
export interface Room {
  readonly before: number
  readonly limit: number
}

const fits = ({ before, limit }: Room, octets: number): Effect.Effect<void, TooLarge> =>
  before + octets <= limit ? Effect.void : Effect.fail(new TooLarge({ size: before + octets, limit }))

/** What an attachment holds, and what its kind of content tells of it. */
interface Read {
  readonly octets: Buffer
  readonly type?: string
  readonly filename?: string
}

/** Reads what an attachment holds, as far as there is room. `field` names it in errors. */
export const readContent = (
  field: string,
  given: Attachment["content"],
  room: Room
): Effect.Effect<Read, InvalidInput | TooLarge> => {
  if ("bytes" in given) {
    const { buffer, byteLength, byteOffset } = given.bytes
    return Effect.as(fits(room, byteLength), { octets: Buffer.from(buffer, byteOffset, byteLength) })
  }
  if ("text" in given) {
    return Effect.as(fits(room, Buffer.byteLength(given.text)), {
      octets: Buffer.from(given.text, "utf8"),
      type: "text/plain; charset=utf-8"
    })
  }
  if ("path" in given) return file(field, given.path, room)
  let length = 0
  const chunks: Array<Uint8Array> = []
  return Stream.runForEach(given.stream, (chunk) => {
    length += chunk.length
    chunks.push(chunk)
    return fits(room, length)
  }).pipe(
    Effect.map(() => ({ octets: Buffer.concat(chunks) })),
    Effect.catchCause((cause) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
      const error = Cause.squash(cause)
      return Effect.fail(
        error instanceof TooLarge ? error : unreadable(`${field}.stream`, error)
      )
    })
  )
}

const file = Effect.fnUntraced(function*(
  field: string,
  path: string,
  room: Room
): Effect.fn.Return<Read, InvalidInput | TooLarge> {
  const failed = (error: unknown) => unreadable(`${field}.path`, error)
  const found = yield* Effect.tryPromise({ try: () => stat(path), catch: failed })
  // devices and pipes can be endless
  if (!found.isFile()) return yield* failed("not a file")
  yield* fits(room, found.size)
  const octets = yield* Effect.tryPromise({ try: (signal) => readFile(path, { signal }), catch: failed })
  return { octets, filename: basename(path) }
})

const unreadable = (field: string, error: unknown): InvalidInput =>
  new InvalidInput({ field, problem: `cannot be read (${error instanceof Error ? error.message : String(error)})` })
