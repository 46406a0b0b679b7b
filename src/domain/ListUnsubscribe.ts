/** How to leave a mailing list: the addresses in List-Unsubscribe (RFC 2369 3.2), and whether one request does it (RFC 8058). */
import { Option, Schema } from "effect"
import { isMailbox } from "./AddressText.ts"
import { valuesOf, withoutComments } from "./HeaderText.ts"
import { oneLine } from "./Original.ts"

/** A message to send; its fields are those of a `Draft`. */
export class UnsubscribeMail extends Schema.Class<UnsubscribeMail>("effect-mail/UnsubscribeMail")({
  to: Schema.String,
  subject: Schema.String,
  text: Schema.String
}) {}

/** What is to be sent by POST, as `application/x-www-form-urlencoded`, without cookies and without a person (RFC 8058 3.2). */
export const oneClickBody = "List-Unsubscribe=One-Click"

/**
 * Ways to leave a list, in the sender's order of preference. `oneClick` is the address to which `oneClickBody` is posted;
 * the others in `web` are pages for a person.
 *
 * **Gotchas** The sender of a message chooses these. Asking one confirms to a spammer that the mailbox is read; do it for
 * mail whose DKIM signature passed and covers both fields (RFC 8058 4), and let no program follow `web` by itself.
 */
export class ListUnsubscribe extends Schema.Class<ListUnsubscribe>("effect-mail/ListUnsubscribe")({
  oneClick: Schema.optionalKey(Schema.String),
  web: Schema.Array(Schema.String),
  mail: Schema.Array(UnsubscribeMail)
}) {
  /** None where the message names no way. */
  static of(
    message: { readonly headers: ReadonlyArray<{ readonly name: string; readonly value: string }> }
  ): Option.Option<ListUnsubscribe> {
    const [value] = valuesOf(message.headers, "list-unsubscribe")
    if (value === undefined) return Option.none()
    // comments can stand around the addresses, and parentheses in them
    const uris = [...value.matchAll(/<([^<>]*)>/g)].map(([, uri = ""]) => uri.replace(/\s+/g, ""))
    const given = uris.length > 0 ? uris : withoutComments(value).split(",").map((uri) => uri.trim())
    const web = given.filter((uri) => /^https?:$/.test(schemeOf(uri)))
    const mail = given.flatMap(mailOf)
    if (web.length === 0 && mail.length === 0) return Option.none()
    const [post = ""] = valuesOf(message.headers, "list-unsubscribe-post")
    const secure = web.find((uri) => schemeOf(uri) === "https:")
    const asked = post.replace(/\s+/g, "").toLowerCase() === oneClickBody.toLowerCase()
    return Option.some(
      new ListUnsubscribe({ ...(asked && secure !== undefined ? { oneClick: secure } : {}), web, mail })
    )
  }
}

const schemeOf = (uri: string): string => {
  try {
    return new URL(uri).protocol
  } catch {
    return ""
  }
}

/** RFC 6068. Only subject and body are taken; no stranger adds recipients or header fields. */
const mailOf = (uri: string): ReadonlyArray<UnsubscribeMail> => {
  if (!/^mailto:/i.test(uri)) return []
  const [path = "", query = ""] = uri.slice("mailto:".length).split("?", 2)
  const to = decoded(path)
  if (!isMailbox(to)) return []
  const fields = new Map<string, string>()
  for (const pair of query.replace(/&amp;/gi, "&").split("&")) {
    const [name = "", ...value] = pair.split("=")
    if (!fields.has(name.toLowerCase())) fields.set(name.toLowerCase(), decoded(value.join("=")))
  }
  return [
    new UnsubscribeMail({
      to,
      subject: oneLine(fields.get("subject") ?? "") || "unsubscribe",
      text: fields.get("body") ?? ""
    })
  ]
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
