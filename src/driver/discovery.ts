/**
 * Looking up mail servers with Node's resolver and `fetch`. Both can be replaced, so that nothing here needs a network.
 * An answer is bounded in size and may come by way of a few redirects, none of which leaves TLS.
 */
import { Effect, Layer } from "effect"
import { Resolver } from "node:dns/promises"
import { DiscoveryNetwork, type SrvRecord } from "./DiscoveryNetwork.ts"
import { errorText } from "./ErrorText.ts"
import { loadedOnce } from "./LoadedOnce.ts"
import { wellKnown } from "./nodemailer/package.ts"

const parser = loadedOnce(() => import("./autoconfig.ts"))

/** The part of the outside world that is asked. A resolver rejects with a `code` as Node's does (ENOTFOUND, ENODATA). */
export interface DiscoveryOptions {
  readonly resolveSrv?: ((name: string, signal: AbortSignal) => Promise<ReadonlyArray<SrvRecord>>) | undefined
  readonly fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined
}

/** An autoconfiguration file is some kilobytes. */
export const maxOctets = 64 * 1024
const maxRedirects = 3

export const layer = (options: DiscoveryOptions = {}): Layer.Layer<DiscoveryNetwork> =>
  Layer.succeed(DiscoveryNetwork, {
    srv: (name) =>
      Effect.catch(
        Effect.tryPromise({
          try: (signal) => (options.resolveSrv ?? resolveSrv)(name, signal),
          catch: (cause) => cause
        }),
        (cause) => isAbsence(cause) ? Effect.succeed([]) : Effect.fail(errorText(cause))
      ),
    autoconfig: (url) =>
      Effect.flatMap(
        Effect.tryPromise({
          try: (signal) => get(options.fetch ?? fetch, url, signal),
          catch: errorText
        }),
        (xml) =>
          xml === undefined ? Effect.succeed([]) : Effect.map(parser, ({ readAutoconfig }) => readAutoconfig(xml))
      ),
    wellKnown: (domain) => {
      const service = wellKnown(`@${domain}`)
      if (service === false || service.host === undefined || service.ignoreTLS === true) return undefined
      const port = service.port === undefined ? undefined : Number(service.port)
      // some entries leave out what their port says
      return { host: service.host, port, isSecure: service.secure === true || port === 465 }
    }
  })

const resolveSrv = async (name: string, signal: AbortSignal): Promise<ReadonlyArray<SrvRecord>> => {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 })
  const cancel = () => resolver.cancel()
  signal.addEventListener("abort", cancel)
  try {
    const records = await resolver.resolveSrv(name)
    return records.map(({ name, port, priority, weight }) => ({ target: name, port, priority, weight }))
  } finally {
    signal.removeEventListener("abort", cancel)
  }
}

/** Undefined where there is no such file. */
const get = async (
  fetch: NonNullable<DiscoveryOptions["fetch"]>,
  url: string,
  signal: AbortSignal
): Promise<string | undefined> => {
  let at = new URL(url)
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    if (at.protocol !== "https:") throw new Error("it leads away from TLS")
    const response = await fetch(at.href, {
      signal,
      redirect: "manual",
      headers: { accept: "text/xml, application/xml" }
    })
    const location = response.headers.get("location")
    if (response.status >= 300 && response.status < 400 && location !== null) {
      await response.body?.cancel()
      at = new URL(location, at)
      continue
    }
    if (!response.ok) {
      await response.body?.cancel()
      if (response.status === 404 || response.status === 410) return undefined
      throw new Error(`status ${response.status}`)
    }
    return read(response)
  }
  throw new Error("too many redirects")
}

const read = async (response: Response): Promise<string> => {
  const chunks: Array<Uint8Array> = []
  let octets = 0
  // leaving the loop cancels what has not been read
  for await (const chunk of response.body ?? []) {
    octets += chunk.length
    if (octets > maxOctets) throw new Error(`more than ${maxOctets} octets`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString("utf8")
}

const isAbsence = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && (cause.code === "ENOTFOUND" || cause.code === "ENODATA")
