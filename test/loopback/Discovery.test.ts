/** Discovery against a resolver that is a table and a web server on loopback, which stands for every host over TLS. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { type Discovered, Discovery, type DiscoveryOptions, type SrvRecord } from "../../src/index.ts"

type Answer = string | ((request: IncomingMessage, response: ServerResponse) => void)

interface Web {
  readonly fetch: NonNullable<DiscoveryOptions["fetch"]>
  readonly asked: Array<string>
}

/** Serves pages by host and path; the query is not part of it. */
const web = (pages: Readonly<Record<string, Answer>>): Effect.Effect<Web, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<{ readonly close: () => void; readonly web: Web }>((resolve) => {
        const server = createServer((request, response) => {
          const { pathname } = new URL(request.url ?? "", "http://x")
          const answer = pages[`${String(request.headers["x-host"])}${pathname}`]
          if (typeof answer === "function") return answer(request, response)
          response.writeHead(answer === undefined ? 404 : 200).end(answer)
        })
        const asked: Array<string> = []
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          const port = typeof address === "object" ? address?.port : undefined
          resolve({
            close: () => {
              server.closeAllConnections()
              server.close()
            },
            web: {
              asked,
              fetch: (url, init) => {
                asked.push(url)
                const { host, pathname, search } = new URL(url)
                return fetch(`http://127.0.0.1:${port}${pathname}${search}`, {
                  ...init,
                  headers: { ...init.headers, "x-host": host }
                })
              }
            }
          })
        })
      })
    ),
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ web }) => web))

const notFound = () => Object.assign(new Error("queryS ENOTFOUND"), { code: "ENOTFOUND" })

const record = (target: string, port: number, priority = 0, weight = 0): SrvRecord => ({
  target,
  port,
  priority,
  weight
})

const resolver = (records: Readonly<Record<string, ReadonlyArray<SrvRecord>>>) => (name: string) =>
  records[name] === undefined ? Promise.reject(notFound()) : Promise.resolve(records[name])

const unreachable: DiscoveryOptions = {
  resolveSrv: () => Promise.reject(Object.assign(new Error("queryS ECONNREFUSED"), { code: "ECONNREFUSED" })),
  fetch: () => Promise.reject(new TypeError("fetch failed", { cause: new Error("connect ENETUNREACH") }))
}

const discover = (address: string, options: DiscoveryOptions) =>
  Effect.flatMap(Discovery, (discovery) => discovery.discover(address)).pipe(Effect.provide(Discovery.layer(options)))

const shown = ({ imap, smtp }: Discovered) =>
  [imap, smtp].map((found) =>
    found && `${found.source} ${found.endpoint.security} ${found.endpoint.host}:${found.endpoint.port}`
  )

const xml = (servers: string) =>
  `<clientConfig version="1.1"><emailProvider id="x">${servers}</emailProvider></clientConfig>`

const server = (
  direction: "incoming" | "outgoing",
  type: string,
  hostname: string,
  port: string,
  socketType: string,
  user = ""
) =>
  `<${direction}Server type="${type}"><hostname>${hostname}</hostname><port>${port}</port>` +
  `<socketType>${socketType}</socketType><username>${user}</username></${direction}Server>`

const autoconfig = "autoconfig.example.com/mail/config-v1.1.xml"
const wellKnown = "example.com/.well-known/autoconfig/mail/config-v1.1.xml"

describe("discovery of the servers of an address", () => {
  it.effect("asks nobody about a provider the library knows", () =>
    Effect.gen(function*() {
      const found = yield* discover("Ann@GMail.com", unreachable)
      assert.deepStrictEqual(
        shown(found),
        ["provider tls imap.gmail.com:undefined", "provider tls smtp.gmail.com:undefined"]
          .map((text, index) => text.replace("undefined", String([found.imap, found.smtp][index]?.endpoint.port)))
      )
      assert.strictEqual(found.provider, "gmail")
      assert.strictEqual(found.imap?.user, "Ann@GMail.com")
    }))

  it.effect("takes SMTP from nodemailer's list, and goes on for IMAP", () =>
    Effect.gen(function*() {
      const resolveSrv = resolver({ "_imaps._tcp.bluewin.ch": [record("imaps.bluewin.ch", 993)] })
      const found = yield* discover("ann@bluewin.ch", { ...unreachable, resolveSrv })
      assert.deepStrictEqual(shown(found), ["srv tls imaps.bluewin.ch:993", "well-known tls smtpauths.bluewin.ch:465"])
      const alone = yield* discover("ann@bluewin.ch", unreachable)
      assert.deepStrictEqual(shown(alone), [undefined, "well-known tls smtpauths.bluewin.ch:465"])
    }))

  it.effect("follows DNS by priority and weight, and takes TLS before STARTTLS", () =>
    Effect.gen(function*() {
      const found = yield* discover("ann@example.com", {
        ...unreachable,
        resolveSrv: resolver({
          "_imaps._tcp.example.com": [
            record("late.example.net", 993, 20, 100),
            record("light.example.net", 993, 10, 1),
            record("Heavy.example.net.", 1993, 10, 5)
          ],
          "_imap._tcp.example.com": [record("plain.example.net", 143)],
          "_submission._tcp.example.com": [record("smtp.example.net", 587)]
        })
      })
      assert.deepStrictEqual(shown(found), ["srv tls heavy.example.net:1993", "srv starttls smtp.example.net:587"])
      assert.strictEqual(found.imap?.from, "_imaps._tcp.example.com")
    }))

  it.effect.each([".", "", "127.0.0.1", "[::1]", "localhost", "a b.example", "a/b.example", "-a.example", "example.1"])(
    "passes over a target that is no host, or says that there is no service: %j",
    (target) =>
      Effect.gen(function*() {
        const found = yield* discover("ann@example.com", {
          ...unreachable,
          resolveSrv: resolver({
            "_imaps._tcp.example.com": [record(target, 993), record("far.example", 0, 1)],
            "_imap._tcp.example.com": [record("imap.example.com", 143)]
          })
        })
        assert.deepStrictEqual(shown(found), ["srv starttls imap.example.com:143", undefined])
      })
  )

  it.live("reads what the domain publishes, fills it in, and takes no server without TLS", () =>
    Effect.gen(function*() {
      const { asked, fetch } = yield* web({
        [autoconfig]: xml(
          server("incoming", "pop3", "pop.example.com", "995", "SSL") +
            server("incoming", "imap", "plain.example.com", "143", "plain") +
            server("incoming", "imap", "127.0.0.1", "993", "SSL") +
            server("incoming", "imap", "imap.%EMAILDOMAIN%", "many", "SSL") +
            server("incoming", "imap", "imap.%EMAILDOMAIN%", "143", "STARTTLS", "%EMAILLOCALPART%") +
            server("outgoing", "smtp", "smtp.example.com", "465", "SSL")
        )
      })
      const found = yield* discover("ann+x@example.com", { resolveSrv: resolver({}), fetch })
      assert.deepStrictEqual(shown(found), [
        "autoconfig starttls imap.example.com:143",
        "autoconfig tls smtp.example.com:465"
      ])
      assert.deepStrictEqual([found.imap?.user, found.smtp?.user], ["ann+x", "ann+x@example.com"])
      assert.deepStrictEqual(asked, [`https://${autoconfig}?emailaddress=ann%2Bx%40example.com`])
    }))

  it.live("looks below .well-known for what is still missing, and prefers what it found first", () =>
    Effect.gen(function*() {
      const { asked, fetch } = yield* web({
        [autoconfig]: xml(server("incoming", "imap", "one.example.com", "993", "SSL")),
        [wellKnown]: xml(
          server("incoming", "imap", "two.example.com", "993", "SSL") +
            server("outgoing", "smtp", "two.example.com", "587", "STARTTLS")
        )
      })
      const found = yield* discover("ann@example.com", { resolveSrv: resolver({}), fetch })
      assert.deepStrictEqual(shown(found), [
        "autoconfig tls one.example.com:993",
        "autoconfig starttls two.example.com:587"
      ])
      assert.lengthOf(asked, 2)
    }))

  it.live("follows a redirect to TLS, and none away from it", () =>
    Effect.gen(function*() {
      const leadTo = (location: string): Answer => (_, response) => void response.writeHead(302, { location }).end()
      const { asked, fetch } = yield* web({
        [autoconfig]: leadTo("http://elsewhere.example/config.xml"),
        [wellKnown]: leadTo("/other.xml"),
        "example.com/other.xml": leadTo("https://elsewhere.example/config.xml"),
        "elsewhere.example/config.xml": xml(server("incoming", "imap", "imap.example.com", "993", "SSL"))
      })
      const found = yield* discover("ann@example.com", { resolveSrv: resolver({}), fetch })
      assert.deepStrictEqual(shown(found), ["autoconfig tls imap.example.com:993", undefined])
      assert.isEmpty(asked.filter((url) => !url.startsWith("https://")))
      const circle = yield* web({ [autoconfig]: leadTo("/mail/config-v1.1.xml") })
      const error = yield* Effect.flip(discover("ann@example.com", { resolveSrv: resolver({}), fetch: circle.fetch }))
      assert.include(error.problem, "too many redirects")
      assert.lengthOf(circle.asked, 5)
    }))

  it.live("goes on after an answer that is too large, an error, and a connection that is cut", () =>
    Effect.gen(function*() {
      const servers = server("incoming", "imap", "imap.example.com", "993", "SSL")
      const large: Answer = (_, response) => {
        response.writeHead(200)
        const more = () => {
          while (!response.destroyed && response.write("x".repeat(16_384)));
          response.once("drain", more)
        }
        more()
      }
      const bad: ReadonlyArray<readonly [Answer, RegExp]> = [
        [large, /more than 65536 octets/],
        [(_, response) => void response.writeHead(500).end(), /status 500/],
        [(_, response) => void response.destroy(), /autoconfig\.example\.com/]
      ]
      for (const [answer, trouble] of bad) {
        const good = yield* web({ [autoconfig]: answer, [wellKnown]: xml(servers) })
        const found = yield* discover("ann@example.com", { resolveSrv: resolver({}), fetch: good.fetch })
        assert.deepStrictEqual(shown(found), ["autoconfig tls imap.example.com:993", undefined])
        const none = yield* web({ [autoconfig]: answer })
        const error = yield* Effect.flip(discover("ann@example.com", { resolveSrv: resolver({}), fetch: none.fetch }))
        assert.match(error.problem, trouble)
      }
    }))

  it.effect("waits for no answer longer than its time, and ends the question", () =>
    Effect.gen(function*() {
      const aborted: Array<string> = []
      const hanging = <A>(name: string, signal: AbortSignal | null | undefined) =>
        new Promise<A>((_, reject) =>
          signal?.addEventListener("abort", () => {
            aborted.push(name)
            reject(new Error("aborted"))
          })
        )
      const fiber = yield* Effect.forkChild(Effect.flip(discover("ann@example.com", {
        resolveSrv: (name, signal) => hanging(name, signal),
        fetch: (url, { signal }) => hanging(new URL(url).host, signal)
      })))
      yield* TestClock.adjust("5 seconds")
      yield* TestClock.adjust("5 seconds")
      yield* TestClock.adjust("5 seconds")
      const error = yield* Fiber.join(fiber)
      assert.match(
        error.problem,
        /DNS: no answer in time; https:\/\/autoconfig.*: no answer in time; https:.*in time\)$/
      )
      assert.sameMembers(aborted, [
        "_imaps._tcp.example.com",
        "_imap._tcp.example.com",
        "_submissions._tcp.example.com",
        "_submission._tcp.example.com",
        "autoconfig.example.com",
        "example.com"
      ])
    }))

  it.effect("says what each step came to where nothing is found", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(discover("ann@example.com", unreachable))
      assert.strictEqual(error.field, "address")
      assert.include(
        error.problem,
        "no mail servers of example.com were found; name them yourself (DNS: queryS ECONNREFUSED;"
      )
      assert.include(error.problem, "connect ENETUNREACH")
    }))

  it.effect("asks for an international domain by its name in DNS", () =>
    Effect.gen(function*() {
      const found = yield* discover("ann@bücher.example", {
        ...unreachable,
        resolveSrv: resolver({ "_imaps._tcp.xn--bcher-kva.example": [record("imap.example.net", 993)] })
      })
      assert.deepStrictEqual(shown(found), ["srv tls imap.example.net:993", undefined])
    }))

  it.effect.each([
    "",
    "ann",
    "@example.com",
    "ann@",
    "ann@localhost",
    "ann@127.0.0.1",
    "ann@[::1]",
    "ann@a/b.example",
    "a b@c.de",
    "ann@example.com:80",
    "ann@ex\r\nample.com"
  ])(
    "asks nobody about what is no address: %j",
    (address) =>
      Effect.gen(function*() {
        const never = () => assert.fail("somebody was asked")
        const error = yield* Effect.flip(discover(address, { resolveSrv: never, fetch: never }))
        assert.strictEqual(error.field, "address")
        assert.include(error.problem, "it is no address")
      })
  )
})
