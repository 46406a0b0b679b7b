/**
 * The contract for looking up what a domain publishes about its mail servers. An implementation fetches and reads; which
 * of the answers counts is not its business.
 */
import { Context, type Effect } from "effect"

/** A server in DNS (RFC 2782). A `target` of "" or "." says that the service is not offered. */
export interface SrvRecord {
  readonly target: string
  readonly port: number
  readonly priority: number
  readonly weight: number
}

/** A server of an autoconfiguration file, as it stands there: names may hold placeholders ("%EMAILADDRESS%"). */
export interface AutoconfigServer {
  readonly protocol: string
  readonly hostname: string
  readonly port: string
  /** "SSL", "STARTTLS" or "plain". */
  readonly socketType: string
  readonly username: string
}

/** An SMTP service by the domain of its addresses. */
export interface WellKnownService {
  readonly host: string
  readonly port: number | undefined
  /** TLS from the first octet; otherwise STARTTLS. */
  readonly isSecure: boolean
}

/** Failures are words for a person: whoever looks something up goes on without it. */
export class DiscoveryNetwork extends Context.Service<DiscoveryNetwork, {
  /** The records of a name, "_imaps._tcp.example.com"; none where there is no such name. */
  readonly srv: (name: string) => Effect.Effect<ReadonlyArray<SrvRecord>, string>
  /** The servers of an autoconfiguration file, over TLS only; none where there is no such file. */
  readonly autoconfig: (url: string) => Effect.Effect<ReadonlyArray<AutoconfigServer>, string>
  readonly wellKnown: (domain: string) => WellKnownService | undefined
}>()("effect-mail/driver/DiscoveryNetwork") {}
