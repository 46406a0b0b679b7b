/** What to say about a word that is no search key: where it comes from and what is written instead. */

/** Words of other mail programs and of older or other protocols. */
const meant: Readonly<Record<string, string>> = {
  UNREAD: "UNSEEN",
  NOTSEEN: "UNSEEN",
  READ: "SEEN",
  STARRED: "FLAGGED",
  UNSTARRED: "UNFLAGGED",
  IMPORTANT: "FLAGGED",
  REPLIED: "ANSWERED",
  UNREPLIED: "UNANSWERED",
  TRASHED: "DELETED",
  SENDER: "FROM",
  RECIPIENT: "TO",
  AFTER: "SINCE",
  SENTAFTER: "SENTSINCE",
  BIGGER: "LARGER",
  SIZE: "LARGER or SMALLER",
  TAG: "KEYWORD",
  FLAG: "KEYWORD",
  LABEL: "X-GM-LABELS",
  LABELS: "X-GM-LABELS",
  RAW: "X-GM-RAW",
  "X-GM-MSGID": "EMAILID",
  "X-GM-THRID": "THREADID"
}

const recent = (instead: string) =>
  `asks for \\Recent, which belongs to one session and which RFC 9051 has dropped; ${instead}`

/** Words that are understood and still not taken. */
const refused: Readonly<Record<string, string>> = {
  NEW: recent("write UNSEEN"),
  OLD: recent("write SEEN, or a date"),
  RECENT: recent("write UNSEEN, or SINCE and a date"),
  $: "names the result of the last search of one session, and sessions are shared here; write UID and the set",
  AND: "is not written: keys that follow each other must all match",
  SEARCH: "is the command, expected the search keys alone",
  RETURN: "asks for a form of the result, expected search keys alone",
  CHARSET: "stands at the very beginning only",
  FUZZY: "is an extension (RFC 6203) that is not supported",
  SAVEDBEFORE: "is an extension (RFC 8514) that is not supported",
  SAVEDON: "is an extension (RFC 8514) that is not supported",
  SAVEDSINCE: "is an extension (RFC 8514) that is not supported",
  FILTER: "is an extension (RFC 5466) that is not supported"
}

/** The problem of a word where a search key was expected, one of `keys`. */
export const unknownKey = (word: string, keys: ReadonlyArray<string>): string => {
  const name = word.toUpperCase()
  const why = Object.hasOwn(refused, name) ? refused[name] : undefined
  if (why !== undefined) return `${name} ${why}`
  const found = `found ${JSON.stringify(word)}, expected a search key`
  const colon = name.indexOf(":")
  if (colon > 0) {
    const key = nearest(name.slice(0, colon), keys)
    if (key !== undefined) return `${found}; did you mean ${key} ${JSON.stringify(word.slice(colon + 1))}?`
  }
  if (word.startsWith("\\")) {
    return `${found}; system flags are written without the backslash, others as KEYWORD and their name`
  }
  if (word.startsWith("-")) return `${found}; the opposite is written NOT and a key`
  const key = nearest(name, keys)
  return key === undefined ? found : `${found}; did you mean ${key}?`
}

/** The name that was probably meant: a known one of other programs, else the one with the fewest typing errors. */
export const nearest = (name: string, names: ReadonlyArray<string>): string | undefined => {
  if (names.includes(name)) return name
  const known = Object.hasOwn(meant, name) ? meant[name] : undefined
  if (known !== undefined) return known
  if (name.length > 32) return undefined
  const allowed = name.length < 5 ? 1 : 2
  let best: string | undefined
  let least = allowed + 1
  for (const candidate of names) {
    const errors = distance(name, candidate)
    if (errors < least) {
      least = errors
      best = candidate
    }
  }
  return best
}

/** Insertions, deletions, replacements and swaps of neighbours between two words (Damerau's distance). */
const distance = (a: string, b: string): number => {
  let before: ReadonlyArray<number> = []
  let row: ReadonlyArray<number> = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
        ? (before[j - 2] ?? 0) + 1
        : i + j
      next.push(Math.min(replaced, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    before = row
    row = next
  }
  return row[b.length] ?? 0
}
