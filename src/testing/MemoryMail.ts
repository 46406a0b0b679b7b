/**
 * Mail servers in memory behind the driver contracts: a `MailStore`, a script of faults, and counters that tell what the
 * "server" saw. All waiting is on Effect's Clock, so a test under TestClock needs no real time. It opens no socket and
 * parses no wire; for those there is `MailServer` over the same store.
 */
import { Context, Duration, Effect, Layer } from "effect"
import { ImapDriver } from "../driver/ImapDriver.ts"
import { SmtpDriver } from "../driver/SmtpDriver.ts"
import { type Fault, Faults } from "./Faults.ts"
import { MailStore, type UserSeed } from "./MailStore.ts"
import * as MemoryImap from "./MemoryImap.ts"
import * as MemorySmtp from "./MemorySmtp.ts"
import { type MemoryCommand, MemoryNetwork } from "./MemoryWire.ts"
import type { ConnectionFilter, ConnectionInfo, Protocol } from "./server/Observations.ts"
import type { AcceptedMessage } from "./server/Observations.ts"

/** What the servers of a `MemoryMail` have and how they behave. */
export interface MemoryMailOptions {
  /** The users to begin with; not beside `store`. */
  readonly users?: ReadonlyArray<UserSeed>
  /** A store to use, for instance one that another server shows too. */
  readonly store?: MailStore
  readonly faults?: Faults | Iterable<Fault>
  /** The time a command takes there and back; default none. */
  readonly latency?: Duration.Input
  /** The time a login takes; default `latency`. */
  readonly loginLatency?: Duration.Input
  /** Connections a user may have logged in at one time, for both protocols or each; default no limit. */
  readonly maxConnections?: number | { readonly imap?: number | undefined; readonly smtp?: number | undefined }
  /**
   * Capabilities of `imapCapabilities` that the server lacks, or DSN of SMTP. Without CONDSTORE it lacks QRESYNC too
   * (RFC 7162 3.2).
   */
  readonly without?: ReadonlyArray<string>
  /**
   * Files each message it accepts in the sender's mailbox for sent mail, as Gmail and Exchange do: the one with that special
   * use (`UserSeed.specialUse`), else "Sent"; nowhere if there is neither. Default false.
   */
  readonly filesSentMail?: boolean
  /** The largest message SMTP takes (RFC 1870), octets; default no limit. */
  readonly maxMessageBytes?: number
}

/** The IMAP capabilities of a `MemoryMail` that switches nothing off. */
export const imapCapabilities: ReadonlyArray<string> = [
  "IMAP4REV1",
  "CONDSTORE",
  "ENABLE",
  "ESEARCH",
  "IDLE",
  "LIST-EXTENDED",
  "LIST-STATUS",
  "LITERAL+",
  "MOVE",
  "NAMESPACE",
  "OBJECTID",
  "QRESYNC",
  "QUOTA",
  "SPECIAL-USE",
  "UIDPLUS",
  "UNSELECT",
  "WITHIN"
]

/**
 * Mail servers in memory, as a test sees them from behind. The users' names and passwords are those of the seeds; host and
 * port of an endpoint mean nothing here.
 *
 * **Gotchas** A fault at "RCPT" or "MAIL" finds the address under `Fault.mailbox`. `Drop` before a command tells the
 * client that nothing was written, after it that something was; a refusal with BYE is lost after writing, and not done.
 */
export class MemoryMail extends Context.Service<MemoryMail, {
  /** What is stored. Changes made here look to clients like those of another client. */
  readonly store: MailStore
  /** The script of faults; add to it, or clear it, at any time. */
  readonly faults: Faults
  /** Connections that are open now, connecting and closing ones too. */
  readonly connections: (filter?: ConnectionFilter) => ReadonlyArray<ConnectionInfo>
  /** The most that were open at once. */
  readonly peak: (filter?: ConnectionFilter) => number
  /** What clients asked for, oldest first. */
  readonly commands: () => ReadonlyArray<MemoryCommand>
  /** The messages SMTP took, oldest first; also those for addresses outside the store. */
  readonly accepted: () => ReadonlyArray<AcceptedMessage>
  /** Commands begun while another was running on the same connection; each was a defect in the client, too. */
  readonly overlaps: () => number
  /** Forgets commands and accepted messages; peaks begin anew. */
  readonly forget: () => void
  readonly setMaxConnections: (protocol: Protocol, most: number | undefined) => void
  /** Cuts the connections there are, all or some, and answers how many they were. */
  readonly drop: (filter?: ConnectionFilter) => number
  readonly imap: ImapDriver["Service"]
  readonly smtp: SmtpDriver["Service"]
}>()("effect-mail/testing/MemoryMail") {
  /** Makes the servers. Nothing needs to be released: connections belong to the scopes they were opened in. */
  static make(options: MemoryMailOptions = {}): MemoryMail["Service"] {
    const { faults = [], latency = 0, loginLatency = latency, maxConnections, maxMessageBytes, users = [] } = options
    const store = options.store ?? new MailStore({ users })
    const most = typeof maxConnections === "object" ? maxConnections : { imap: maxConnections, smtp: maxConnections }
    const network = new MemoryNetwork(faults instanceof Faults ? faults : new Faults(faults), {
      imap: most.imap ?? Infinity,
      smtp: most.smtp ?? Infinity
    })
    let accepted: Array<AcceptedMessage> = []
    const common = {
      store,
      network,
      latency: Duration.toMillis(latency),
      loginLatency: Duration.toMillis(loginLatency)
    }
    return {
      store,
      faults: network.faults,
      connections: (filter) => network.wires(filter).map(({ info }) => info),
      peak: (filter) => network.peak(filter),
      commands: () => network.commands,
      accepted: () => accepted,
      overlaps: () => network.overlaps,
      forget: () => {
        network.forget()
        accepted = []
      },
      setMaxConnections: (protocol, most = Infinity) => {
        network.maxConnections[protocol] = most
      },
      drop: (filter) => {
        const wires = network.wires(filter)
        for (const wire of wires) wire.close("the server cut the connection")
        return wires.length
      },
      imap: {
        connect: MemoryImap.connect({
          ...common,
          capabilities: capabilitiesWithout(options.without ?? [])
        })
      },
      smtp: {
        connect: MemorySmtp.connect({
          ...common,
          accept: (message) => accepted.push(message),
          maxSize: maxMessageBytes,
          hasDsn: !(options.without ?? []).some((name) => name.toUpperCase() === "DSN"),
          filesSentMail: options.filesSentMail ?? false
        })
      }
    }
  }

  /** The servers as drivers, and beside them the `MemoryMail` that looks behind them. */
  static layer(options: MemoryMailOptions = {}): Layer.Layer<ImapDriver | SmtpDriver | MemoryMail> {
    return Layer.effectContext(Effect.sync(() => {
      const mail = MemoryMail.make(options)
      return Context.make(MemoryMail, mail).pipe(
        Context.add(ImapDriver, mail.imap),
        Context.add(SmtpDriver, mail.smtp)
      )
    }))
  }
}

const capabilitiesWithout = (names: ReadonlyArray<string>): ReadonlySet<string> => {
  const missing = new Set(names.map((name) => name.toUpperCase()))
  if (missing.has("CONDSTORE")) missing.add("QRESYNC")
  return new Set(imapCapabilities.filter((name) => !missing.has(name)))
}
