/** A draft that refers to nothing outside: what its attachments name by path or stream is read into it. */
import { Cause, Effect, Stream } from "effect"
import { readFile } from "node:fs/promises"
import { basename } from "node:path"
import { Attachment, Draft } from "../domain/Draft.ts"
import { InvalidInput } from "../domain/MailError.ts"

/** The same draft with the octets of its attachments. Fails with `InvalidInput` for what cannot be read. */
export const withAttachmentBytes = (draft: Draft): Effect.Effect<Draft, InvalidInput> =>
  draft.attachments === undefined ? Effect.succeed(draft) : Effect.map(
    Effect.forEach(draft.attachments, (attachment, index) => withBytes(`attachments[${index}]`, attachment)),
    (attachments) => new Draft({ ...draft, attachments })
  )

const withBytes = (field: string, attachment: Attachment): Effect.Effect<Attachment, InvalidInput> => {
  const { content } = attachment
  if ("bytes" in content || "text" in content) return Effect.succeed(attachment)
  if ("path" in content) {
    return Effect.map(
      Effect.tryPromise({
        try: (signal) => readFile(content.path, { signal }),
        catch: (error) => unreadable(`${field}.path`, error)
      }),
      (bytes) => new Attachment({ filename: basename(content.path), ...attachment, content: { bytes } })
    )
  }
  return Stream.runCollect(content.stream).pipe(
    Effect.map((chunks) => new Attachment({ ...attachment, content: { bytes: Buffer.concat(chunks) } })),
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.interrupt
        : Effect.fail(unreadable(`${field}.stream`, Cause.squash(cause)))
    )
  )
}

const unreadable = (field: string, error: unknown) =>
  new InvalidInput({ field, problem: `cannot be read (${error instanceof Error ? error.message : String(error)})` })
