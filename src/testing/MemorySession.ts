/**
 * A logged-in IMAP connection over a `MailStore`: what a correct adapter makes of a correct server, without wire and
 * parser. It gives the reasons of the contract by the same tables as an adapter does.
 *
 *   a change -> waits  -> said with the answer to the next command, or at the start of IDLE, where it rings
 *            -> IDLE   -> said at once; rings if `idle` waits, and else only `heard` counts it
 */
import { Duration, Effect } from "effect"
import { Mailbox, MailboxStatus, Quota, QuotaResource, type SpecialUse } from "../domain/Mailbox.ts"
import { badMailboxName } from "../domain/MailboxName.ts"
import { ConnectionLost, MailboxNotFound, type Reason, TooLarge } from "../domain/MailError.ts"
import { imapCommand, type ImapSubject } from "../driver/Classification.ts"
import type { CopyResult, ImapConnection, SelectedMailbox, SelectOptions } from "../driver/ImapDriver.ts"
import { answer, gone, lackingFor, lacks, nothingSelected, sessionExchange } from "./MemoryAnswers.ts"
import type { Exchange, MemoryWire } from "./MemoryWire.ts"
import { findSection, structureOf } from "./MimeStructure.ts"
import { search } from "./SearchEvaluation.ts"
import type { MailboxChange, StoredMailbox } from "./StoredMailbox.ts"
import { octetsIn, toRow, toSelected } from "./StoredRow.ts"
import { canonicalPath, delimiter, type StoredUser, type Transferred } from "./StoredUser.ts"
import { StoreFailure } from "./StoreFailure.ts"

/** What the server is like to a session. `latency` in milliseconds there and back. */
export interface SessionOptions {
  readonly capabilities: ReadonlySet<string>
  readonly latency: number
}

/** How often `idle` asks a server without IDLE. */
export const pollInterval = Duration.seconds(30)

interface Selection {
  readonly mailbox: StoredMailbox
  readonly view: SelectedMailbox
  readonly stop: () => void
  /** Changes the server has not said yet. */
  unsaid: number
  /** The session cannot go on with this mailbox. */
  invalid: "deleted" | "renamed" | "reset" | undefined
  ring: (() => void) | undefined
}

/** The commands of a connection that is logged in. */
export const openSession = (server: SessionOptions, wire: MemoryWire, user: StoredUser): ImapConnection => {
  const { capabilities, latency } = server
  let selection: Selection | undefined
  let isOwnChange = false
  /** An IDLE goes on after `idle` has ended, until the next command. */
  let isIdling = false
  let heard = 0

  const deselect = () => {
    selection?.stop()
    selection = wire.mailbox = undefined
  }

  const hear = (change: MailboxChange) => {
    if (selection === undefined) return
    // Flags are stored silently, and what the session does to a whole mailbox it knows.
    if (isOwnChange && (change._tag === "Flags" || change._tag === "Invalidated")) return
    if (change._tag === "Invalidated") selection.invalid = change.why
    // A server tells nothing of a rename to those who wait in IDLE.
    if (change._tag === "Invalidated" && change.why === "renamed") return
    selection.unsaid++
    if (isIdling) say()
  }

  /** The server says what it has not said yet; the answer tells whether there was anything. */
  const say = (): boolean => {
    if (selection === undefined || selection.unsaid === 0) return false
    heard += selection.unsaid
    selection.unsaid = 0
    selection.ring?.()
    return true
  }

  /** Runs what this session does to the store. */
  const own = <A>(change: () => A): A => {
    isOwnChange = true
    try {
      return change()
    } finally {
      isOwnChange = false
    }
  }

  const command = <A>(
    name: string,
    subject: ImapSubject,
    act: (now: Date) => Effect.Effect<A, Reason>,
    options: { readonly survivesInterruption?: boolean } = {}
  ): Effect.Effect<A, Reason> =>
    Effect.suspend(() => {
      isIdling = false
      const run = wire.exchange({
        ...sessionExchange(name, latency, subject),
        ...options,
        act: (now) => Effect.ensuring(act(now), Effect.sync(say))
      })
      return subject.mailbox === undefined ? run : Effect.andThen(checkedName(subject.mailbox), run)
    })

  /** A command on a mailbox by name. */
  const named = <A extends object | undefined>(name: string, mailbox: string, act: () => A | StoreFailure) =>
    command(name, { mailbox }, () => answer(own(act), { mailbox }))

  /** A command on the messages of the selected mailbox. */
  const onMessages = <A>(
    name: string,
    range: string | undefined,
    act: (selected: Selection, uids: ReadonlyArray<number>, now: Date) => Effect.Effect<A, Reason>,
    options: { readonly changes?: boolean; readonly to?: string } = {}
  ): Effect.Effect<A, Reason> =>
    Effect.suspend(() => {
      const selected = selection
      if (selected === undefined) return Effect.fail(wire.isOpen ? nothingSelected : gone("closed"))
      return command(name, { mailbox: options.to ?? selected.view.path }, (now) => {
        if (selected.invalid !== undefined) return bye(selected)
        if (options.changes === true && selected.view.readOnly) {
          return Effect.fail(imapCommand({ status: "NO", text: "Mailbox is read-only" }))
        }
        const uids = range === undefined ? [] : selected.mailbox.uidsIn(range)
        return uids === undefined
          ? Effect.fail(imapCommand({ status: "BAD", text: "Invalid sequence set" }))
          : act(selected, uids, now)
      })
    })

  const bye = ({ invalid, view }: Selection) => {
    const detail = `mailbox ${view.path} was ${invalid}, please log in again`
    wire.end(detail)
    return Effect.fail(new ConnectionLost({ detail, written: true }))
  }

  const statusOf = (mailbox: StoredMailbox): MailboxStatus => {
    const { highestModseq, messages, uidNext, uidValidity, unseen } = mailbox.status()
    return new MailboxStatus({
      mailbox: mailbox.path,
      messages,
      unseen,
      uidNext,
      uidValidity,
      ...capabilities.has("CONDSTORE") ? { highestModseq } : {}
    })
  }

  const rename = (from: string, to: string) =>
    named("RENAME", from, () => {
      const renamed = user.renameMailbox(from, to)
      const isSelected = selection !== undefined && isBelow(selection.view.path, from)
      if (isSelected && !(renamed instanceof StoreFailure)) deselect()
      return renamed
    })

  const remove = (mailbox: string) =>
    named("DELETE", mailbox, () => {
      const deleted = user.deleteMailbox(mailbox)
      if (selection?.mailbox === deleted) deselect()
      return deleted
    })

  const select = (path: string, options: SelectOptions): Effect.Effect<SelectedMailbox, Reason> =>
    Effect.suspend(() => {
      const { readOnly, refresh = false, since } = options
      const isSelected = selection !== undefined && selection.view.path === canonicalPath(path) &&
        selection.view.readOnly === readOnly
      if (wire.isOpen && isSelected && !refresh && since === undefined && selection !== undefined) {
        return Effect.succeed(selection.view)
      }
      return command(readOnly ? "EXAMINE" : "SELECT", { mailbox: path }, () => {
        deselect()
        const mailbox = user.mailbox(path)
        if (mailbox === undefined) return Effect.fail(new MailboxNotFound({ mailbox: path }))
        const view = toSelected(mailbox, options, capabilities)
        selection = { mailbox, view, stop: mailbox.listen(hear), unsaid: 0, invalid: undefined, ring: undefined }
        wire.mailbox = view.path
        return Effect.succeed(view)
      }).pipe(Effect.tapError(() => Effect.sync(deselect)))
    })

  const fetch: ImapConnection["fetch"] = (range, items, options = {}) =>
    onMessages("FETCH", range, ({ mailbox }, uids) => {
      const since = capabilities.has("CONDSTORE") ? options.changedSince : undefined
      const messages = uids.flatMap((uid) => mailbox.message(uid) ?? [])
      const rows = messages
        .filter(({ modseq }) => since === undefined || modseq > since)
        .map((message) => toRow(message, items, capabilities, options))
      const { answerLimit = Infinity } = options
      const size = rows.reduce((sum, row) => sum + octetsIn(row), 0)
      if (size <= answerLimit) return Effect.succeed(rows)
      wire.close("closed by the client")
      return Effect.fail(new TooLarge({ size, limit: answerLimit }))
    })

  const transfer = (name: "COPY" | "MOVE", range: string, to: string): Effect.Effect<CopyResult, Reason> =>
    onMessages(name, range, ({ mailbox }, uids) => {
      const result = own(() => name === "COPY" ? user.copy(mailbox, uids, to) : user.move(mailbox, uids, to))
      return Effect.map(answer(result, { mailbox: to }), (transferred) => toCopyResult(transferred, capabilities))
    }, { changes: name === "MOVE", to })

  const store: ImapConnection["store"] = (range, { flags, mode }) =>
    onMessages("STORE", range, ({ mailbox }, uids) => {
      own(() => mailbox.store(uids, mode, flags))
      return Effect.void
    }, { changes: true })

  const expunge = (range: string): Effect.Effect<void, Reason> =>
    capabilities.has("UIDPLUS")
      ? Effect.andThen(
        store(range, { mode: "add", flags: ["\\Deleted"] }),
        onMessages("EXPUNGE", range, ({ mailbox }, uids) => {
          own(() => mailbox.expunge(uids))
          return Effect.void
        }, { changes: true })
      )
      : Effect.fail(lacks("UIDPLUS", "a plain EXPUNGE would remove messages nobody named"))

  const noop = (options: { readonly survivesInterruption?: boolean } = {}) =>
    Effect.suspend(() =>
      command(
        "NOOP",
        { mailbox: selection?.view.path },
        () => selection?.invalid === undefined ? Effect.void : bye(selection),
        options
      )
    )

  const nextChange = (selected: Selection) =>
    Effect.callback<void>((resume) => {
      selected.ring = () => resume(Effect.void)
      isIdling = true
      if (selected.invalid === "deleted" || selected.invalid === "reset") resume(Effect.void)
      say()
      return Effect.void
    }).pipe(
      Effect.ensuring(Effect.sync(() => {
        selected.ring = undefined
      })),
      Effect.andThen(Effect.suspend(() => selected.invalid === undefined ? Effect.void : bye(selected)))
    )

  const waiting = (act: (selected: Selection, lost: Exchange<void>["lost"]) => Effect.Effect<void, Reason>) =>
    Effect.suspend(() => {
      const selected = selection
      if (selected === undefined) return Effect.fail(wire.isOpen ? nothingSelected : gone("closed"))
      return act(selected, sessionExchange("IDLE", latency).lost)
    })

  const listen = waiting((selected, lost) => {
    const listening = wire.wait(nextChange(selected), lost)
    // The IDLE of an interrupted wait goes on, and the next one joins it.
    if (isIdling && wire.isOpen) return listening
    return wire.exchange({
      ...sessionExchange("IDLE", latency, { mailbox: selected.view.path }),
      survivesInterruption: true,
      act: () => selected.invalid === undefined ? listening : bye(selected)
    })
  })

  const poll = waiting((selected, lost) => {
    const before = heard
    const ask: Effect.Effect<void, Reason> = Effect.flatMap(
      wire.wait(Effect.sleep(pollInterval), lost),
      () =>
        Effect.flatMap(
          noop({ survivesInterruption: true }),
          () => heard === before ? ask : Effect.void
        )
    )
    return selected.invalid === undefined ? ask : noop()
  })

  return {
    capabilities,
    enabled: new Set(["CONDSTORE", "QRESYNC"].filter((name) => capabilities.has(name))),
    isUsable: () => wire.isOpen,
    closed: wire.closed,
    abort: () => wire.close("closed by the client"),
    selected: () => selection?.view,
    heard: () => heard,
    list: ({ status }) =>
      command("LIST", {}, () =>
        Effect.succeed(user.names.map(({ hasChildren, mailbox, path, subscribed }) => {
          const use: SpecialUse | undefined = path === "INBOX" ? "inbox" : mailbox?.specialUse
          return new Mailbox({
            path,
            delimiter,
            subscribed,
            selectable: mailbox !== undefined,
            flags: [
              hasChildren ? "\\HasChildren" : "\\HasNoChildren",
              ...mailbox === undefined ? ["\\NonExistent", "\\Noselect"] : [],
              ...mailbox?.specialUse === undefined ? [] : [specialUseFlag(mailbox.specialUse)]
            ],
            ...use === undefined ? {} : { specialUse: use },
            ...status && mailbox !== undefined ? { status: statusOf(mailbox) } : {}
          })
        }))),
    status: (mailbox) =>
      command("STATUS", { mailbox }, () => {
        const found = user.mailbox(mailbox)
        return found === undefined ? Effect.fail(new MailboxNotFound({ mailbox })) : Effect.succeed(statusOf(found))
      }),
    create: (mailbox) =>
      named("CREATE", mailbox, () => {
        const result = user.createMailbox(mailbox)
        if (result instanceof StoreFailure) return result.code === "ALREADYEXISTS" ? undefined : result
        user.subscribe(mailbox)
        return result
      }).pipe(Effect.asVoid),
    rename: (from, to) => Effect.asVoid(Effect.andThen(checkedName(to), rename(from, to))),
    delete: (mailbox) => Effect.asVoid(remove(mailbox)),
    subscribe: (mailbox) => Effect.asVoid(named("SUBSCRIBE", mailbox, () => user.subscribe(mailbox))),
    unsubscribe: (mailbox) =>
      Effect.asVoid(named("UNSUBSCRIBE", mailbox, () => {
        user.unsubscribe(mailbox)
        return undefined
      })),
    quota: (mailbox) =>
      capabilities.has("QUOTA")
        ? command("GETQUOTAROOT", { mailbox }, () =>
          Effect.succeed(
            user.quota === undefined
              ? undefined
              : new Quota({ storage: new QuotaResource({ usage: user.usage, limit: user.quota }) })
          ))
        : Effect.fail(lacks("QUOTA", "it keeps no quota that could be asked for")),
    select,
    search: (key) => {
      const lacking = lackingFor(key, capabilities)
      return lacking === undefined
        ? onMessages("SEARCH", undefined, ({ mailbox }, _, now) => Effect.succeed(search(key, mailbox.messages, now)))
        : Effect.fail(lacks(lacking, "the search asks for it"))
    },
    fetch,
    fetchPartial: ({ length, section, start, uid }) =>
      onMessages("FETCH", `${uid}`, ({ mailbox }) => {
        const source = mailbox.message(uid)?.source
        const range = source === undefined ? undefined : findSection(structureOf(source), section)
        if (source === undefined || range === undefined) return Effect.succeed(undefined)
        const from = Math.min(range.start + start, range.end)
        return Effect.succeed(source.slice(from, Math.min(from + length, range.end)))
      }),
    store,
    copy: (range, to) => transfer("COPY", range, to),
    move: (range, to) =>
      capabilities.has("MOVE")
        ? transfer("MOVE", range, to)
        : Effect.fail(lacks("MOVE", "copy and expunge would not be one step")),
    expunge,
    append: (mailbox, source, { flags, internalDate }) =>
      command("APPEND", { mailbox, size: source.length }, (now) => {
        const appended = own(() => user.append(mailbox, source, { flags, internalDate: internalDate ?? now }))
        return Effect.map(answer(appended, { mailbox, size: source.length }), ({ uid }) => {
          const uidValidity = user.mailbox(mailbox)?.uidValidity
          return capabilities.has("UIDPLUS") && uidValidity !== undefined ? { uidValidity, uid } : undefined
        })
      }),
    noop: noop(),
    idle: capabilities.has("IDLE") ? listen : poll
  }
}

const specialUseFlag = (use: SpecialUse): string => `\\${use.charAt(0).toUpperCase()}${use.slice(1)}`

const isBelow = (path: string, parent: string): boolean =>
  path === canonicalPath(parent) || path.startsWith(canonicalPath(parent) + delimiter)

const toCopyResult = ({ mailbox, uids }: Transferred, capabilities: ReadonlySet<string>): CopyResult =>
  capabilities.has("UIDPLUS") && uids.size > 0 ? { uidValidity: mailbox.uidValidity, uids } : undefined

const checkedName = (mailbox: string): Effect.Effect<void, Reason> => {
  const badName = badMailboxName(mailbox)
  return badName === undefined ? Effect.void : Effect.fail(badName)
}
