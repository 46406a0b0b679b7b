/**
 * Subjects of answers and forwards, without prefixes that pile up, and what is left of a subject without any. Mail
 * programs write the prefixes in their users' language; those that are also words one begins a subject with ("Ref:",
 * "R:", "I:") are left alone.
 */
import { oneLine } from "./Original.ts"

// Re in English and Latin, and what programs write in German, Dutch, Scandinavian languages, Finnish, Hungarian,
// Polish, Czech, Portuguese, Turkish, Welsh, Greek, Hebrew, Chinese and Japanese
const replyWords = "re|aw|antw|antwort|sv|vs|vá|odp|odg|res|ynt|atb|απ|σχετ|השב|回复|回覆|答复|答覆|返信|转回"
const forwardWords = "fwd?|wg|vb|vl|tr|rv|enc|pd|doorst|továbbítás|i̇lt|ilt|πρθ|הועבר|转发|轉寄|转寄|転送"

/** A prefix with its count, "Re[2]: " or "Re^2: "; the wide colon is East Asian. */
const prefix = (words: string) => `(?:${words})(?:\\s?[[(^*]\\d{1,3}[\\])]?)?\\s?[:\uff1a]\\s*`
const replies = new RegExp(`^(?:${prefix(replyWords)})+`, "iu")
const forwards = new RegExp(`^(?:${prefix(forwardWords)})+`, "iu")
const either = new RegExp(`^${prefix(`${replyWords}|${forwardWords}`)}`, "iu")
/** What a mailing list puts in front (a subj-blob, RFC 5256 5). */
const tag = /^\[[^[\]]{1,60}\]\s*/

const without = (words: RegExp, subject: string): string => {
  const plain = oneLine(subject).replace(words, "")
  const [list = ""] = tag.exec(plain) ?? []
  return `${list}${plain.slice(list.length).replace(words, "")}`.trim()
}

/** "Re: " and the subject, once: of "AW: Re[2]: x" and of "x" it is "Re: x"; of "[list] Re: x" it is "Re: [list] x". */
export const replySubject = (subject: string | undefined): string => `Re: ${without(replies, subject ?? "")}`.trim()

/** "Fwd: " and the subject, once. */
export const forwardSubject = (subject: string | undefined): string => `Fwd: ${without(forwards, subject ?? "")}`.trim()

/** The subject without prefixes, tags of lists and the marks of a forward (the base subject of RFC 5256 2.1), in lower case. */
export const baseSubject = (subject: string): string => {
  let rest = oneLine(subject).slice(0, 1000)
  while (true) {
    const before = rest
    rest = rest.replace(/ ?\(fwd\)$/i, "").replace(either, "").replace(/^\[fwd:(.*)\]$/i, "$1").trim()
    const untagged = rest.replace(tag, "")
    if (untagged !== "") rest = untagged
    if (rest === before) return rest.toLowerCase()
  }
}

/** Whether the subject says that it is an answer or a forward (RFC 5256 2.1). */
export const isAnswer = (subject: string): boolean => {
  const plain = oneLine(subject).slice(0, 1000)
  return either.test(plain.replace(tag, "")) || either.test(plain) || /\(fwd\)$|^\[fwd:/i.test(plain)
}
