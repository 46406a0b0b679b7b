/**
 * The one place where line ends become CRLF (RFC 5322 2.3: CR and LF only occur together). What has gone through here
 * is what is sent, measured and filed, so that the three never differ.
 */

const CR = 0x0d
const LF = 0x0a

/** The same octets with every bare CR and bare LF turned into CRLF; the given buffer itself where nothing is to do. */
export const canonical = (octets: Buffer): Buffer => {
  let bare = 0
  eachBare(octets, () => bare++)
  if (bare === 0) return octets
  const out = Buffer.allocUnsafe(octets.length + bare)
  let from = 0
  let at = 0
  eachBare(octets, (index) => {
    at += octets.copy(out, at, from, index)
    out[at++] = CR
    out[at++] = LF
    from = index + 1
  })
  octets.copy(out, at, from)
  return out
}

/** The same for text that is yet to be encoded. */
export const canonicalText = (text: string): string => text.replace(/\r\n|\r|\n/g, "\r\n")

/** Visits every CR not followed by LF and every LF not preceded by CR. `indexOf` is far faster than a loop over octets. */
const eachBare = (octets: Buffer, visit: (index: number) => void): void => {
  let lf = octets.indexOf(LF)
  let cr = octets.indexOf(CR)
  while (lf !== -1 || cr !== -1) {
    if (cr !== -1 && (lf === -1 || cr < lf)) {
      if (lf === cr + 1) lf = octets.indexOf(LF, lf + 1)
      else visit(cr)
      cr = octets.indexOf(CR, cr + 1)
    } else {
      visit(lf)
      lf = octets.indexOf(LF, lf + 1)
    }
  }
}
