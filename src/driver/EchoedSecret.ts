/**
 * Takes a secret out of what a server said: some repeat the line they refuse. Knows every form in which a driver sends
 * one: as it is, inside a quoted string (RFC 9051 4.3), and in base64, alone or as part of a SASL message (RFC 4616,
 * RFC 7628, XOAUTH2). Pure.
 */
import { type Login, secretOf } from "../domain/Credentials.ts"

const mark = "<redacted>"

/** What base64 may stand in: also its variant for URLs, and whatever of it is glued to other words. */
const words = /[A-Za-z0-9+/_-]{4,}={0,2}/g

/** A piece of a secret this long, in octets, is no accident. */
const pieceLength = 6

const piecesOf = (text: string): ReadonlyArray<string> =>
  Array.from({ length: Math.max(0, text.length - pieceLength + 1) }, (_, at) => text.slice(at, at + pieceLength))

/** Takes the secret of these credentials out of a text, in whatever form it was sent. What it takes for that is made once. */
export const withoutSecretOf = (login: Login): (text: string) => string => {
  let clean: ((text: string) => string) | undefined
  return (text) => (clean ??= cleaner(login))(text)
}

const cleaner = (login: Login): (text: string) => string => {
  const secret = secretOf(login)
  const octets = Buffer.from(secret)
  // a server's line may be read octet by octet
  const raw = [secret, octets.toString("latin1")]
  const base64 = octets.toString("base64")
  const forms = [
    ...raw,
    ...raw.map((form) => form.replace(/["\\]/g, "\\$&")),
    base64,
    base64.replace(/=+$/, ""),
    octets.toString("base64url")
  ].toSorted((a, b) => b.length - a.length)
  const marked = raw.map((form) => `\0${form}`).concat("auth=Bearer ")
  const pieces = new Set(piecesOf(octets.toString("latin1")))

  /** Whether a word is base64 of a message with the secret in it, or, where lines were broken, of a piece of it. */
  const tells = (word: string): boolean =>
    [0, 1, 2, 3].some((from) => {
      const decoded = Buffer.from(word.slice(from), "base64").toString("latin1")
      return marked.some((form) => decoded.includes(form)) || piecesOf(decoded).some((piece) => pieces.has(piece))
    })

  return (text) =>
    forms.reduce((left, form) => left.replaceAll(form, mark), text.replace(words, (word) => tells(word) ? mark : word))
}
