/**
 * The commands of one connection, each from its arguments to its value. Keeps what the last SELECT said.
 * Everything about outcomes, loss and interruption is in `Link`.
 */
import { Effect, Result } from "effect"
import type { FetchItems } from "../../domain/Fetch.ts"
import { Mailbox, MailboxStatus, Quota, QuotaResource, type SpecialUse } from "../../domain/Mailbox.ts"
import { badMailboxName, mailboxName } from "../../domain/MailboxName.ts"
import { InvalidInput, type Reason, TooLarge, Unsupported } from "../../domain/MailError.ts"
import { isUid } from "../../domain/MessageSet.ts"
import type { CopyResult, FetchOptions, ImapConnection, SelectedMailbox, SelectOptions } from "../ImapDriver.ts"
import type { CopyResponseObject, ListResponse, MailboxObject, QuotaResponse, StatusObject } from "./client.ts"
import { collectRows, type Decoders } from "./fetch.ts"
import { makeIdle } from "./idle.ts"
import { badItems, badRange, isSection, mistaken, readOnly, storable, uidRange } from "./input.ts"
import { type Link, notSelected } from "./link.ts"
import { hearResync } from "./resync.ts"
import { membership, originOf, owned } from "./rows.ts"
import { compileSearch } from "./search.ts"

export const makeConnection = (link: Link, decoders: Decoders): ImapConnection => {
  const { client } = link
  // Names are used as the server lists them; imapflow would put the personal namespace in front of all others.
  client.namespace = { prefix: "", delimiter: client.namespace?.delimiter }
  const capabilities = upperCase(client.capabilities.keys())
  const has = (capability: string) => capabilities.has(capability)
  let wait: Effect.Effect<void, Reason> | undefined
  const opened = { last: undefined as Opened | undefined, isListed: false, isOpening: false }

  let heard = 0
  const hear = () => {
    // What SELECT itself says is its answer.
    if (!opened.isOpening) heard++
  }
  client.on("exists", hear).on("expunge", hear).on("flags", hear)

  const selected = (): SelectedMailbox | undefined =>
    client.mailbox !== false && opened.last?.mailbox.path === client.mailbox.path ? opened.last.mailbox : undefined

  /** Runs with the selected mailbox and a UID set that can be sent. */
  const onMessages = <A>(
    range: string,
    use: (mailbox: SelectedMailbox, range: string) => Effect.Effect<A, Reason>
  ): Effect.Effect<A, Reason> =>
    Effect.suspend(() => {
      const reason = badRange(range)
      if (reason !== undefined) return Effect.fail(reason)
      const mailbox = selected()
      return mailbox === undefined && link.isUsable() ? notSelected : mailbox === undefined
        ? Effect.fail(link.lost(false))
        : use(mailbox, uidRange(range))
    })

  const named = <A>(mailbox: string, use: (path: string) => Effect.Effect<A, Reason>): Effect.Effect<A, Reason> =>
    Effect.suspend(() => {
      const path = mailboxName(mailbox)
      const reason = badMailboxName(path) ?? mistaken(path)
      return reason === undefined ? use(path) : Effect.fail(reason)
    })

  const requires = (capability: string, detail: string): Effect.Effect<void, Reason> =>
    client.capabilities.has(capability) || client.enabled.has("IMAP4REV2")
      ? Effect.void
      : Effect.fail(new Unsupported({ capability, detail }))

  const list: ImapConnection["list"] = ({ status }) =>
    link.read(link.command((client) => client.list(status ? { statusQuery: counters } : {})), (mailboxes) => {
      opened.isListed = true
      return mailboxes.map((mailbox) => toMailbox(mailbox, status))
    })

  /** One LIST fills imapflow's cache of mailboxes; without it every first SELECT costs two round trips more. */
  const listOnce = Effect.suspend(() => {
    if (opened.isListed) return Effect.void
    opened.isListed = true
    return Effect.catchIf(
      Effect.asVoid(link.command((client) => client.list())),
      (reason) => reason._tag === "Rejected",
      () => Effect.void
    )
  })

  const open = Effect.fnUntraced(function*(path: string, { readOnly, since }: SelectOptions) {
    yield* listOnce
    const isAsked = since !== undefined && since.modseq > 0n && client.enabled.has("QRESYNC")
    const options = isAsked
      ? { readOnly, changedSince: since.modseq, uidValidity: since.uidValidity }
      : { readOnly }
    opened.last = undefined
    const answer = yield* Effect.acquireUseRelease(
      Effect.sync(() => {
        opened.isOpening = true
        return hearResync(client)
      }),
      (resync) =>
        link.command(
          // Read at once: rows that come behind the answer move the same object's HIGHESTMODSEQ, which is no cursor then.
          (client) =>
            client.mailboxOpen(path, options).then((box) => ({
              ...toSelected(box, readOnly),
              resync: resync.of(box.path)
            })),
          { mailbox: path }
        ),
      (resync) =>
        Effect.sync(() => {
          opened.isOpening = false
          resync.deafen()
        })
    )
    const mailbox: SelectedMailbox = {
      ...answer.mailbox,
      resync: isAsked && answer.isResynced ? answer.resync : undefined
    }
    // What is more than any number no error and no cursor could hold.
    if (mailbox.uidValidity === 0 || !Number.isSafeInteger(mailbox.uidValidity)) {
      return yield* link.violated("SELECT without UIDVALIDITY")
    }
    opened.last = { mailbox, isReadOnly: readOnly }
    return mailbox
  })

  const collect = (range: string, items: FetchItems, options: FetchOptions = {}) =>
    link.command(async (client) => {
      const collected = await collectRows(
        client,
        decoders,
        range,
        items,
        options,
        (size, limit) => link.abort(new TooLarge({ size, limit }))
      )
      if (collected === false) return false
      heard += collected.strays
      return collected.rows
    })

  const transfer = (
    range: string,
    mailbox: string,
    run: (client: Link["client"]) => Promise<CopyResponseObject | false | undefined>
  ): Effect.Effect<CopyResult, Reason> =>
    Effect.map(link.command(run, { mailbox, isStrict: true }), ({ uidMap, uidValidity }) =>
      // A server that names messages nobody named does not tell where these went.
      uidMap !== undefined && isUid(Number(uidValidity)) && uidMap.keys().every(membership(range))
        ? { uidValidity: Number(uidValidity), uids: uidMap }
        : undefined)

  return {
    capabilities,
    enabled: upperCase(client.enabled),
    isUsable: () => link.isUsable(),
    closed: link.closed,
    abort: () => link.abort(),
    selected,
    heard: () => heard,
    list,
    status: (mailbox) =>
      named(
        mailbox,
        (path) =>
          link.read(link.command((client) => client.status(path, counters), { mailbox }), toStatus).pipe(
            Effect.filterOrFail(
              (status) => status !== undefined,
              () => link.violated("STATUS without the counters asked for")
            )
          )
      ),
    create: (mailbox) =>
      named(mailbox, (path) =>
        link.command((client) => client.mailboxCreate(path), { mailbox }).pipe(
          Effect.asVoid,
          Effect.catchIf(isThereAlready, () => Effect.void)
        )),
    rename: (from, to) =>
      named(
        from,
        (from) =>
          named(to, (to) => Effect.asVoid(link.command((client) => client.mailboxRename(from, to), { mailbox: from })))
      ),
    delete: (mailbox) =>
      named(mailbox, (path) => Effect.asVoid(link.command((client) => client.mailboxDelete(path), { mailbox }))),
    subscribe: (mailbox) =>
      named(mailbox, (path) => Effect.asVoid(link.command((client) => client.mailboxSubscribe(path), { mailbox }))),
    unsubscribe: (mailbox) =>
      named(mailbox, (path) => Effect.asVoid(link.command((client) => client.mailboxUnsubscribe(path), { mailbox }))),
    quota: (mailbox) =>
      named(mailbox, (path) => {
        if (!has("QUOTA") && ![...capabilities].some((name) => name.startsWith("QUOTA=RES-"))) {
          return Effect.fail(new Unsupported({ capability: "QUOTA", detail: "it keeps no count of space" }))
        }
        return link.read(link.command((client) => client.getQuota(path), { mailbox }), toQuota)
      }),

    select: (mailbox, options) =>
      named(mailbox, (path) => {
        const now = selected()
        const isOpen = now?.path === path && opened.last?.isReadOnly === options.readOnly
        return isOpen && options.refresh !== true && options.since === undefined
          ? Effect.succeed(now)
          : open(path, options)
      }),
    search: (key) =>
      Effect.suspend(() => {
        const query = compileSearch(key, has, Date.now)
        if (Result.isFailure(query)) return Effect.fail(query.failure)
        if (selected() === undefined && link.isUsable()) return notSelected
        return link.command((client) => client.search(query.success, { uid: true }))
      }),
    fetch: (range, items, options) =>
      onMessages(range, (_, range) => {
        const reason = badItems(items)
        return reason === undefined ? collect(range, items, options) : Effect.fail(reason)
      }),
    fetchPartial: ({ length, section, start, uid }) =>
      onMessages(`${uid}`, () => {
        if (section !== "" && !isSection(section)) {
          return Effect.fail(new InvalidInput({ field: "section", problem: `"${section}" is not a section` }))
        }
        if (start < 0 || length < 0) {
          return Effect.fail(new InvalidInput({ field: "section", problem: "starts before 0" }))
        }
        if (length === 0) return Effect.succeed(new Uint8Array(0))
        const span = { start, maxLength: length }
        const query = section === "" ? { source: span } : { bodyParts: [{ key: section, ...span }] }
        return link.command(async (client) => {
          const row = await client.fetchOne(`${uid}`, { uid: true, ...query }, { uid: true })
          const octets = row === false
            ? undefined
            : section === ""
            ? row.source
            : row.bodyParts?.get(section.toLowerCase())
          return { octets: octets ? owned(octets) : undefined, origin: originOf(row, section) ?? start }
        }).pipe(
          Effect.flatMap(({ octets, origin }) =>
            octets !== undefined && (octets.byteLength > length || origin !== start)
              ? Effect.fail(link.violated("other octets than were asked for"))
              : Effect.succeed(octets)
          )
        )
      }),
    store: (range, change) =>
      onMessages(range, (mailbox, range) => {
        const allowed = storable(change.flags, change.mode === "remove" ? undefined : mailbox)
        if ("reason" in allowed) return Effect.fail(allowed.reason)
        if (mailbox.readOnly) return Effect.fail(readOnly(mailbox))
        if (allowed.flags.length === 0 && change.mode !== "set") return Effect.void
        const flags = [...allowed.flags]
        const options = { uid: true, silent: true }
        return Effect.asVoid(link.command((client) => {
          if (change.mode === "add") return client.messageFlagsAdd(range, flags, options)
          return change.mode === "remove"
            ? client.messageFlagsRemove(range, flags, options)
            : client.messageFlagsSet(range, flags, options)
        }, { isStrict: true }))
      }),
    copy: (range, to) =>
      onMessages(
        range,
        (_, range) =>
          named(to, (path) => transfer(range, to, (client) => client.messageCopy(range, path, { uid: true })))
      ),
    move: (range, to) =>
      onMessages(
        range,
        (mailbox, range) =>
          named(to, (path) =>
            requires("MOVE", "moving by copy and expunge would not be atomic").pipe(
              Effect.andThen(mailbox.readOnly ? Effect.fail(readOnly(mailbox)) : Effect.void),
              Effect.andThen(transfer(range, to, (client) => client.messageMove(range, path, { uid: true })))
            ))
      ),
    expunge: (range) =>
      onMessages(
        range,
        (mailbox, range) =>
          requires("UIDPLUS", "expunging without it would take messages nobody named").pipe(
            Effect.andThen(Effect.suspend(() => {
              if (mailbox.readOnly) return Effect.fail(readOnly(mailbox))
              const deleted = storable(["\\Deleted"], mailbox)
              return "reason" in deleted ? Effect.fail(deleted.reason) : Effect.void
            })),
            Effect.andThen(link.command((client) => {
              const options = { uid: true, silent: true }
              return client.messageDelete(range, options)
            }, { isStrict: true })),
            Effect.asVoid
          )
      ),
    append: (mailbox, source, { flags, internalDate }) =>
      named(mailbox, (path) => {
        const target = selected()
        const allowed = storable(flags, target?.path === path && !target.readOnly ? target : undefined)
        if ("reason" in allowed) return Effect.fail(allowed.reason)
        const before = client.stats().sent
        return link.command(
          (client) => client.append(path, source, [...allowed.flags], internalDate),
          { mailbox, size: source.byteLength }
        ).pipe(
          Effect.filterOrFail(
            () => client.stats().sent - before > source.byteLength,
            () => link.violated("OK for a message that was not sent yet")
          ),
          Effect.map(({ uid, uidValidity }) =>
            isUid(uid) && isUid(Number(uidValidity)) ? { uidValidity: Number(uidValidity), uid } : undefined
          )
        )
      }),
    noop: link.command((client) => client.noop(), { isSilent: true }),
    idle: Effect.suspend(() =>
      selected() === undefined
        ? (link.isUsable() ? notSelected : Effect.fail(link.lost(false)))
        : wait ??= makeIdle(link, has("IDLE"))
    )
  }
}

interface Opened {
  readonly mailbox: SelectedMailbox
  readonly isReadOnly: boolean
}

const toSelected = (box: MailboxObject, readOnly: boolean) => ({
  // imapflow says here whether the server honoured the request; its type does not.
  isResynced: (box as MailboxObject & { readonly qresync?: boolean }).qresync === true,
  mailbox: {
    path: box.path,
    readOnly: box.readOnly ?? readOnly,
    uidValidity: Number(box.uidValidity ?? 0),
    uidNext: box.uidNext ?? 0,
    exists: box.exists ?? 0,
    highestModseq: box.noModseq === true || !box.highestModseq ? undefined : box.highestModseq,
    // A server that does not say lets all flags be changed (RFC 3501 6.3.1).
    permanentFlags: [...(box.permanentFlags ?? [...(box.flags ?? []), "\\*"])]
  }
})

const counters = { messages: true, unseen: true, uidNext: true, uidValidity: true, highestModseq: true } as const

const upperCase = (names: Iterable<string>): ReadonlySet<string> =>
  new Set([...names].map((name) => name.toUpperCase()))

/** Servers that predate ALREADYEXISTS (RFC 5530) say it in words. */
const isThereAlready = (reason: Reason): boolean =>
  reason._tag === "Rejected" && (reason.code === "ALREADYEXISTS" || /already exists/i.test(reason.text))

const specialUses = new Map<string, SpecialUse>([
  ["\\inbox", "inbox"],
  ["\\all", "all"],
  ["\\archive", "archive"],
  ["\\drafts", "drafts"],
  ["\\flagged", "flagged"],
  ["\\important", "important"],
  ["\\junk", "junk"],
  ["\\sent", "sent"],
  ["\\trash", "trash"]
])

const toMailbox = (listed: ListResponse, withStatus: boolean): Mailbox => {
  const flags = [...listed.flags]
  const specialUse = listed.path === "INBOX" ? "inbox" : specialUses.get((listed.specialUse ?? "").toLowerCase())
  const status = withStatus && listed.status !== undefined ? toStatus(listed.status) : undefined
  return new Mailbox({
    path: listed.path,
    delimiter: listed.delimiter || null,
    ...(specialUse === undefined ? {} : { specialUse }),
    // Left out where no LSUB line named it.
    subscribed: listed.subscribed === true,
    selectable: !flags.some((flag) => /^\\(?:noselect|nonexistent)$/i.test(flag)),
    flags,
    ...(status === undefined ? {} : { status })
  })
}

const toStatus = (status: StatusObject): MailboxStatus | undefined =>
  status.messages === undefined || status.uidValidity === undefined ? undefined : new MailboxStatus({
    mailbox: status.path,
    messages: status.messages,
    unseen: status.unseen ?? 0,
    uidNext: status.uidNext ?? 0,
    uidValidity: Number(status.uidValidity),
    ...(status.highestModseq ? { highestModseq: status.highestModseq } : {})
  })

const toQuota = (quota: QuotaResponse): Quota | undefined => {
  const { message, storage } = quota
  if (storage === undefined && message === undefined) return undefined
  return new Quota({
    ...(storage === undefined ? {} : { storage: toResource(storage) }),
    ...(message === undefined ? {} : { messages: toResource(message) })
  })
}

const toResource = ({ limit, usage }: NonNullable<QuotaResponse["storage"]>): QuotaResource =>
  new QuotaResource({ usage: usage ?? 0, ...(limit === undefined ? {} : { limit }) })
