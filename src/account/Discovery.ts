/**
 * From an address to its servers: what this library knows, what nodemailer knows, what DNS says, what the domain
 * publishes, in this order. A step that fails or takes too long is passed over, and no server without TLS is taken.
 */
import { Context, Duration, Effect, Layer } from "effect"
import { domainToASCII } from "node:url"
import { Endpoint } from "../domain/AccountConfig.ts"
import { Discovered, DiscoveredServer } from "../domain/Discovered.ts"
import { InvalidInput } from "../domain/MailError.ts"
import { providerOf } from "../domain/Providers.ts"
import * as discovery from "../driver/discovery.ts"
import type { DiscoveryOptions } from "../driver/discovery.ts"
import { type AutoconfigServer, DiscoveryNetwork, type SrvRecord } from "../driver/DiscoveryNetwork.ts"

/** How long one question may take. */
export const questionTimeout = Duration.seconds(5)

type Protocol = "imap" | "smtp"
type Found = { readonly [P in Protocol]?: DiscoveredServer }

/** An address taken apart. `domain` is in the form that DNS and URLs want (RFC 5890 A-labels). */
interface Subject {
  readonly address: string
  readonly local: string
  readonly domain: string
}

/**
 * Finds the servers of an address.
 *
 * **Gotchas** What comes from DNS is as trustworthy as DNS is: ask the person before a password is sent to a host that
 * is not below their domain (RFC 6186 6).
 */
export class Discovery extends Context.Service<Discovery, {
  /**
   * Fails with `InvalidInput` where the address is none, and where nothing is found; it says what each step came to. One
   * of the two servers may be missing from what it answers.
   */
  readonly discover: (address: string) => Effect.Effect<Discovered, InvalidInput>
}>()("effect-mail/account/Discovery") {
  /** Asks the network, or what is given in its place. */
  static readonly layer = (options?: DiscoveryOptions): Layer.Layer<Discovery> =>
    Layer.provide(Discovery.layerNoDeps, discovery.layer(options))

  /** Asks whatever network the environment has. */
  static readonly layerNoDeps: Layer.Layer<Discovery, never, DiscoveryNetwork> = Layer.effect(
    this,
    Effect.map(
      DiscoveryNetwork,
      (network) => Discovery.of({ discover: Effect.fn("Discovery.discover")((address) => discover(network, address)) })
    )
  )
}

const discover = Effect.fnUntraced(function*(
  network: DiscoveryNetwork["Service"],
  address: string
): Effect.fn.Return<Discovered, InvalidInput> {
  const subject = yield* subjectOf(address)
  const troubles: Array<string> = []
  let found: Found = {}

  const provider = providerOf(`@${subject.domain}`)
  if (provider !== undefined) {
    const from = (endpoint: Endpoint) =>
      new DiscoveredServer({ endpoint, user: address, source: "provider", from: provider.id })
    found = { imap: from(provider.imap.value), smtp: from(provider.smtp.value) }
  }
  const service = network.wellKnown(subject.domain)
  if (found.smtp === undefined && service !== undefined) {
    const { host, isSecure, port } = service
    const endpoint = endpointOf(host, port, isSecure ? "tls" : "starttls")
    if (endpoint !== undefined) {
      const smtp = new DiscoveredServer({ endpoint, user: address, source: "well-known", from: subject.domain })
      found = { ...found, smtp }
    }
  }

  /** Asks for what is still missing; what it takes too long for, or fails with, is noted. */
  const ask = Effect.fnUntraced(function*(name: string, question: Effect.Effect<Found, string>) {
    if (found.imap !== undefined && found.smtp !== undefined) return
    const answer = yield* question.pipe(
      Effect.timeoutOrElse({ duration: questionTimeout, orElse: () => Effect.fail("no answer in time") }),
      Effect.catch((trouble) => {
        troubles.push(`${name}: ${trouble}`)
        return Effect.succeed<Found>({})
      })
    )
    found = { ...answer, ...found }
  })

  yield* ask("DNS", bySrv(network, subject))
  const query = `?emailaddress=${encodeURIComponent(address)}`
  for (
    const url of [
      `https://autoconfig.${subject.domain}/mail/config-v1.1.xml`,
      `https://${subject.domain}/.well-known/autoconfig/mail/config-v1.1.xml`
    ]
  ) {
    yield* ask(
      url,
      Effect.map(network.autoconfig(url + query), (servers) => byAutoconfig(servers, subject, url))
    )
  }

  if (found.imap === undefined && found.smtp === undefined) {
    const details = troubles.length === 0 ? "" : ` (${troubles.join("; ")})`
    return yield* new InvalidInput({
      field: "address",
      problem: `no mail servers of ${subject.domain} were found; name them yourself${details}`
    })
  }
  return new Discovered({ address, ...found, ...(provider === undefined ? {} : { provider: provider.id }) })
})

/** Letters, digits and hyphens in labels, at least two, and a last one that is no number: neither an IP address nor a path. */
const hostname =
  /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?!\d+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

const subjectOf = (address: string): Effect.Effect<Subject, InvalidInput> => {
  const at = address.lastIndexOf("@")
  const local = address.slice(0, at)
  const domain = domainToASCII(address.slice(at + 1)).toLowerCase()
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  return at > 0 && !/[\s\x00-\x1f\x7f<>]/.test(address) && hostname.test(domain)
    ? Effect.succeed({ address, local, domain })
    : Effect.fail(new InvalidInput({ field: "address", problem: "it is no address: name@example.com is one" }))
}

const endpointOf = (host: string, port: number | undefined, security: "tls" | "starttls"): Endpoint | undefined => {
  const name = host.replace(/\.$/, "").toLowerCase()
  const isPort = port === undefined || (Number.isInteger(port) && port > 0 && port < 65536)
  return hostname.test(name) && isPort
    ? new Endpoint({ host: name, security, ...(port === undefined ? {} : { port }) })
    : undefined
}

/** The names to ask for, TLS from the first octet before STARTTLS (RFC 8314 5.1). */
const services = {
  imap: [["_imaps._tcp", "tls"], ["_imap._tcp", "starttls"]],
  smtp: [["_submissions._tcp", "tls"], ["_submission._tcp", "starttls"]]
} as const

const bySrv = (network: DiscoveryNetwork["Service"], { address, domain }: Subject): Effect.Effect<Found, string> => {
  const find = Effect.fnUntraced(function*(protocol: Protocol) {
    const answers = yield* Effect.forEach(
      services[protocol],
      ([service, security]) =>
        Effect.map(
          network.srv(`${service}.${domain}`),
          (records) => ({ name: `${service}.${domain}`, records, security })
        ),
      { concurrency: "unbounded" }
    )
    for (const { name, records, security } of answers) {
      for (const { port, target } of [...records].sort(inOrder)) {
        const endpoint = endpointOf(target, port, security)
        if (endpoint !== undefined) return new DiscoveredServer({ endpoint, user: address, source: "srv", from: name })
      }
    }
    return undefined
  })
  return Effect.map(
    Effect.all([find("imap"), find("smtp")], { concurrency: "unbounded" }),
    ([imap, smtp]) => ({ ...(imap === undefined ? {} : { imap }), ...(smtp === undefined ? {} : { smtp }) })
  )
}

/** By priority; among equals the heaviest, so that the same answer leads to the same account each time (RFC 2782 draws lots). */
const inOrder = (one: SrvRecord, other: SrvRecord): number =>
  one.priority - other.priority || other.weight - one.weight || one.target.localeCompare(other.target)

const byAutoconfig = (servers: ReadonlyArray<AutoconfigServer>, subject: Subject, url: string): Found => {
  const first = (protocol: Protocol): DiscoveredServer | undefined => {
    for (const server of servers.filter((each) => each.protocol === protocol)) {
      const security = securities.get(server.socketType.toUpperCase())
      if (security === undefined) continue
      const port = server.port === "" ? undefined : Number(server.port)
      const endpoint = endpointOf(filledIn(server.hostname, subject), port, security)
      const user = filledIn(server.username, subject)
      if (endpoint !== undefined) {
        return new DiscoveredServer({
          endpoint,
          user: user === "" ? subject.address : user,
          source: "autoconfig",
          from: url
        })
      }
    }
    return undefined
  }
  const imap = first("imap")
  const smtp = first("smtp")
  return { ...(imap === undefined ? {} : { imap }), ...(smtp === undefined ? {} : { smtp }) }
}

const securities: ReadonlyMap<string, "tls" | "starttls"> = new Map([["SSL", "tls"], ["TLS", "tls"], [
  "STARTTLS",
  "starttls"
]])

const filledIn = (text: string, { address, domain, local }: Subject): string =>
  text.replace(
    /%(EMAILADDRESS|EMAILLOCALPART|EMAILDOMAIN)%/g,
    (_, name: string) => name === "EMAILADDRESS" ? address : name === "EMAILLOCALPART" ? local : domain
  )
