/**
 * Undoes the content transfer encoding of a part (RFC 2045 6) page by page. Pages are cut anywhere, so each decoder
 * keeps what it cannot decode yet. Like mail programs, it passes over what does not belong there.
 */

/** Feeds on pages; `last` marks the final one. */
export type Decoder = (page: Uint8Array, last: boolean) => Uint8Array

/** A decoder for an encoding as BODYSTRUCTURE names it; 7bit, 8bit, binary and unknown ones pass through. */
export const decoder = (encoding: string | undefined): Decoder => {
  switch (encoding?.toLowerCase()) {
    case "base64":
      return base64()
    case "quoted-printable":
      return quotedPrintable()
    default:
      return (page) => page
  }
}

const base64 = (): Decoder => {
  let rest = ""
  return (page, last) => {
    const text = rest + Buffer.from(page).toString("latin1").replace(/[^A-Za-z0-9+/=]/g, "")
    // padding ends a run of its own: some programs encode a part piece by piece
    const runs = text.split(/=+/)
    const open = runs.pop() ?? ""
    const whole = last ? open.length : open.length - open.length % 4
    rest = open.slice(whole)
    return Buffer.concat([...runs, open.slice(0, whole)].map((run) => Buffer.from(run, "base64")))
  }
}

// A run of blanks is looked at from its beginning only: from each of its places, a long one would take the square of its length.
const heldBack = /(?:=[ \t]*[0-9A-Fa-f]?\r?|(?<![ \t])[ \t]+\r?)$/
const blanksAtLineEnd = /(?<![ \t])[ \t]+(?=\r?\n|$)/g
const isBlank = (text: string) => /^[ \t]*$/.test(text)

const quotedPrintable = (): Decoder => {
  let rest = ""
  let endsInBlank = false
  return (page, last) => {
    const added = Buffer.from(page).toString("latin1")
    // what is held back is not looked through again for each page of nothing but blanks
    if (!last && endsInBlank && isBlank(added)) {
      rest += added
      return new Uint8Array(0)
    }
    const text = rest + added
    // an escape, a soft line break, or blanks before a line end may go on in the next page
    const whole = last
      ? text.length
      : text.length - (heldBack.exec(text)?.[0].length ?? 0)
    rest = text.slice(whole)
    endsInBlank = /[ \t]$/.test(rest.slice(-1))
    const decoded = text.slice(0, whole)
      .replace(blanksAtLineEnd, (blanks, offset: number) => last || offset + blanks.length < whole ? "" : blanks)
      .replace(last ? /=(?:\r?\n|$)/g : /=\r?\n/g, "")
      .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    return Buffer.from(decoded, "latin1")
  }
}
