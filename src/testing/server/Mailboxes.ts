/** Commands on mailboxes and their names: LIST, STATUS, CREATE, QUOTA and their kin (RFC 9051 6.3, 5258, 5819, 9208). */
import type { SpecialUse } from "../../domain/Mailbox.ts"
import type { StoredMailbox } from "../StoredMailbox.ts"
import { canonicalPath, delimiter, type StoredName, type StoredUser } from "../StoredUser.ts"
import { namespaceLine } from "./Authentication.ts"
import { encodeMailboxName, toListPattern } from "./MailboxName.ts"
import { bad } from "./Refusal.ts"
import { orRefuse, type Session } from "./Session.ts"
import type { Command, Commands } from "./SessionCommand.ts"
import { type Arguments, textOf, toAtom, type Token, toQuoted } from "./Tokens.ts"

export const mailboxes: Commands = {
  NAMESPACE: {
    state: "authenticated",
    run: ({ args, session }) => {
      args.end()
      session.line(namespaceLine(delimiter))
      return "NAMESPACE completed"
    }
  },
  LIST: { state: "authenticated", run: (command) => list(command) },
  LSUB: {
    state: "authenticated",
    run: ({ args, session }) => {
      const patterns = [args.text() + args.mailbox()]
      const user = session.login()
      for (const path of matching(user.subscriptions, patterns)) {
        session.line(`* LSUB () ${toQuoted(delimiter)} ${wireName(path)}`)
      }
      return "LSUB completed"
    }
  },
  CREATE: {
    state: "authenticated",
    run: ({ args, session }) => {
      const path = args.mailbox()
      const use = args.isAtEnd ? undefined : specialUseOf(args)
      orRefuse(session.login().createMailbox(path, use))
      return "CREATE completed"
    }
  },
  DELETE: {
    state: "authenticated",
    run: ({ args, session }) => {
      const path = args.mailbox()
      // The deleting session deselects; the others are told (RFC 9051 6.3.5)
      const isOwn = session.view?.mailbox.path === canonicalPath(path)
      orRefuse(session.login().deleteMailbox(path))
      if (isOwn) session.unselect()
      return "DELETE completed"
    }
  },
  RENAME: {
    state: "authenticated",
    run: ({ args, session }) => {
      const from = args.mailbox()
      orRefuse(session.login().renameMailbox(from, args.mailbox()))
      // Who renames knows the new name; what is selected stays selected
      session.acceptRename()
      return "RENAME completed"
    }
  },
  SUBSCRIBE: {
    state: "authenticated",
    run: ({ args, session }) => {
      orRefuse(session.login().subscribe(args.mailbox()))
      return "SUBSCRIBE completed"
    }
  },
  UNSUBSCRIBE: {
    state: "authenticated",
    run: ({ args, session }) => {
      session.login().unsubscribe(args.mailbox())
      return "UNSUBSCRIBE completed"
    }
  },
  STATUS: {
    state: "authenticated",
    run: ({ args, session }) => {
      const mailbox = session.mailbox(args.mailbox())
      const items = args.atoms()
      session.line(statusLine(session, mailbox, items))
      return "STATUS completed"
    }
  },
  GETQUOTAROOT: {
    state: "authenticated",
    needs: "QUOTA",
    run: ({ args, session }) => {
      const mailbox = session.mailbox(args.mailbox())
      session.line(`* QUOTAROOT ${wireName(mailbox.path)} ${toQuoted(quotaRoot)}`)
      session.line(quotaLine(session.login()))
      return "GETQUOTAROOT completed"
    }
  },
  GETQUOTA: {
    state: "authenticated",
    needs: "QUOTA",
    run: ({ args, session }) => {
      args.text()
      session.line(quotaLine(session.login()))
      return "GETQUOTA completed"
    }
  }
}

const quotaRoot = "User quota"

/** STORAGE counts in units of 1024 octets (RFC 9208 5.1). */
const quotaLine = (user: StoredUser): string => {
  const resources = user.quota === undefined
    ? ""
    : `STORAGE ${Math.ceil(user.usage / 1024)} ${Math.floor(user.quota / 1024)}`
  return `* QUOTA ${toQuoted(quotaRoot)} (${resources})`
}

const list = ({ args, session }: Command): string => {
  const user = session.login()
  const selectors = args.peek()?._tag === "list" ? args.atoms().map((word) => word.toUpperCase()) : []
  const reference = args.mailbox()
  const patterns = (args.peek()?._tag === "list" ? args.list().map(toPattern) : [args.mailbox()])
    .map((pattern) => reference + pattern)
  const returns = args.isAtEnd ? {} : returnOptions(args)
  if (patterns.length === 1 && patterns[0] === reference && selectors.length === 0) {
    session.line(`* LIST (\\Noselect) ${toQuoted(delimiter)} ""`)
    return "LIST completed"
  }
  const onlySubscribed = selectors.includes("SUBSCRIBED")
  const names = new Map(user.names.map((name) => [name.path, name]))
  const gone = onlySubscribed ? user.subscriptions.filter((path) => !names.has(path)) : []
  for (const path of matching([...names.keys(), ...gone], patterns)) {
    const name = names.get(path)
    const subscribed = name === undefined || name.subscribed
    if (onlySubscribed && !subscribed) continue
    if (selectors.includes("SPECIAL-USE") && useAttribute(name?.mailbox) === undefined) continue
    const attributes = attributesOf(session, name)
    if (subscribed && (onlySubscribed || returns.subscribed === true)) attributes.push("\\Subscribed")
    session.line(`* LIST (${attributes.join(" ")}) ${toQuoted(delimiter)} ${wireName(path)}`)
    if (returns.status !== undefined && name?.mailbox !== undefined) {
      session.line(statusLine(session, name.mailbox, returns.status))
    }
  }
  return "LIST completed"
}

const toPattern = (token: Token): string => {
  const pattern = textOf(token)
  if (pattern === undefined) throw bad("expected a pattern")
  return pattern
}

const returnOptions = (
  args: Arguments
): { readonly subscribed?: boolean; readonly status?: ReadonlyArray<string> } => {
  if (args.word() !== "RETURN") throw bad("expected RETURN")
  const options = args.list()
  let status: ReadonlyArray<string> | undefined
  let subscribed = false
  options.forEach((token, index) => {
    if (token._tag === "list") return
    const word = toAtom(token).toUpperCase()
    const next = options[index + 1]
    if (word === "SUBSCRIBED") subscribed = true
    if (word === "STATUS" && next?._tag === "list") status = next.items.map(toAtom)
  })
  return status === undefined ? { subscribed } : { subscribed, status }
}

const attributesOf = (session: Session, name: StoredName | undefined): Array<string> => {
  const attributes = [name?.hasChildren === true ? "\\HasChildren" : "\\HasNoChildren"]
  if (name?.mailbox === undefined) attributes.push("\\NonExistent", "\\Noselect")
  const use = useAttribute(name?.mailbox)
  if (use !== undefined && session.has("SPECIAL-USE")) attributes.push(use)
  return attributes
}

const attributes: { readonly [Use in SpecialUse]?: string } = {
  all: "\\All",
  archive: "\\Archive",
  drafts: "\\Drafts",
  flagged: "\\Flagged",
  important: "\\Important",
  junk: "\\Junk",
  sent: "\\Sent",
  trash: "\\Trash"
}

const useAttribute = (mailbox: StoredMailbox | undefined): string | undefined =>
  mailbox?.specialUse === undefined ? undefined : attributes[mailbox.specialUse]

/** `(USE (\Sent))` after CREATE (RFC 6154 3). */
const specialUseOf = (args: Arguments): SpecialUse | undefined => {
  const [use, names] = args.list()
  if (use === undefined || toAtom(use).toUpperCase() !== "USE" || names?._tag !== "list") throw bad("expected USE")
  const wanted = names.items.map(toAtom)[0]?.slice(1).toLowerCase()
  // Object.keys loses the key type; the keys are those of the table above
  return (Object.keys(attributes) as Array<SpecialUse>).find((name) => name === wanted)
}

const statusLine = (session: Session, mailbox: StoredMailbox, items: ReadonlyArray<string>): string => {
  const status = mailbox.status()
  const values: { readonly [item: string]: number | bigint | string } = {
    MESSAGES: status.messages,
    RECENT: 0,
    UNSEEN: status.unseen,
    UIDNEXT: status.uidNext,
    UIDVALIDITY: status.uidValidity,
    SIZE: status.size,
    DELETED: status.deleted,
    ...session.has("CONDSTORE") ? { HIGHESTMODSEQ: status.highestModseq } : {},
    ...session.has("OBJECTID") ? { MAILBOXID: `(${mailboxId(mailbox)})` } : {}
  }
  const told = items.map((item) => {
    const value = values[item.toUpperCase()]
    if (value === undefined) throw bad(`Unknown status item ${item}`)
    if (item.toUpperCase() === "HIGHESTMODSEQ") session.enabled.condstore = true
    return `${item.toUpperCase()} ${value}`
  })
  return `* STATUS ${wireName(mailbox.path)} (${told.join(" ")})`
}

/** MAILBOXID (RFC 8474 4). */
export const mailboxId = (mailbox: StoredMailbox): string => `F${mailbox.uidValidity}`

const wireName = (path: string): string => toQuoted(encodeMailboxName(path))

const matching = (paths: ReadonlyArray<string>, patterns: ReadonlyArray<string>): ReadonlyArray<string> => {
  const expressions = patterns.map((pattern) => toListPattern(canonicalPath(pattern), delimiter))
  return paths.filter((path) => expressions.some((expression) => expression.test(path)))
}
