/**
 * Reads SMTP replies (RFC 5321 4.2) off the wire, beside the package that sends the commands: how many have come, and
 * what they said. A reply counts once its last line is complete, so a server that dribbles lines does not look alive.
 */

export interface ReplyReader {
  readonly feed: (chunk: Uint8Array) => void
  /** Complete replies, in the order they came. Lines of one reply are joined by LF. */
  readonly replies: ReadonlyArray<string>
  /** True while a line or a reply has begun and not ended. */
  readonly pending: () => boolean
}

/** The longest reply that is kept, in characters; a server that says more is cut off. */
const maxReplyLength = 64 * 1024

export const makeReplyReader = (): ReplyReader => {
  const replies: Array<string> = []
  let rest = ""
  let open = ""
  return {
    replies,
    pending: () => rest !== "" || open !== "",
    feed: (chunk) => {
      const lines = (rest + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString("latin1")).split(
        "\n"
      )
      rest = (lines.pop() ?? "").slice(0, maxReplyLength)
      for (const ended of lines) {
        const line = ended.endsWith("\r") ? ended.slice(0, -1) : ended
        if (open === "" && line.trim() === "") continue
        const reply = (open === "" ? line : `${open}\n${line}`).slice(0, maxReplyLength)
        // "250-" goes on, everything else ends the reply, even what is none
        if (/^\d+-/.test(line)) open = reply
        else {
          open = ""
          replies.push(reply)
        }
      }
    }
  }
}

/** True where every line of a complete reply begins with a code of this class: a reply that contradicts itself is none. */
export const isEvery = (reply: string, first: "2" | "refusal"): boolean => {
  const pattern = first === "2" ? /^2\d\d(?:[ -]|$)/ : /^[45]\d\d(?:[ -]|$)/
  return reply.split("\n").every((line) => pattern.test(line))
}
