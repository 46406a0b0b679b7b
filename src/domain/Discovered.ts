/** What was found out about the servers of an address, and where each was found. */
import { Schema } from "effect"
import { Endpoint } from "./AccountConfig.ts"

/**
 * Where a server was found: among the providers of this library, in nodemailer's list of SMTP services, in DNS (RFC 6186,
 * RFC 8314), or in the autoconfiguration file that a domain publishes for mail programs.
 */
export const DiscoverySource = Schema.Literals(["provider", "well-known", "srv", "autoconfig"])
export type DiscoverySource = typeof DiscoverySource.Type

/** One server. `from` names the place: a provider's id, a DNS name, an address. `user` is what to log in as. */
export class DiscoveredServer extends Schema.Class<DiscoveredServer>("effect-mail/DiscoveredServer")({
  endpoint: Endpoint,
  user: Schema.String,
  source: DiscoverySource,
  from: Schema.String
}) {}

/**
 * The servers of an address; at least one of them. `provider` is the id of a provider of this library, whose limits
 * `limitsOf(providerById(id))` knows.
 */
export class Discovered extends Schema.Class<Discovered>("effect-mail/Discovered")({
  address: Schema.String,
  imap: Schema.optionalKey(DiscoveredServer),
  smtp: Schema.optionalKey(DiscoveredServer),
  provider: Schema.optionalKey(Schema.String)
}) {}
