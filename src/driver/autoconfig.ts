/**
 * Autoconfiguration files ("config-v1.1.xml", as Thunderbird reads them) with htmlparser2, the only file that knows the
 * package. Reads what stands there; which server can be used is decided elsewhere.
 */
import { Parser } from "htmlparser2"
import type { AutoconfigServer } from "./DiscoveryNetwork.ts"

const fields = ["hostname", "port", "socketType", "username"] as const

/** The servers of a file in the order they stand there. What is no such file has none; only the first of a field counts. */
export const readAutoconfig = (xml: string): ReadonlyArray<AutoconfigServer> => {
  const servers: Array<AutoconfigServer> = []
  const path: Array<string> = []
  let server: { protocol: string; values: Map<string, string> } | undefined
  let text = ""
  const parser = new Parser({
    onopentag: (name, { type = "" }) => {
      path.push(name)
      text = ""
      const isServer = name === "incomingServer" || name === "outgoingServer"
      if (isServer && path.length === 3 && path[0] === "clientConfig" && path[1] === "emailProvider") {
        server = { protocol: type.toLowerCase(), values: new Map() }
      }
    },
    ontext: (part) => void (text += part),
    onclosetag: (name) => {
      const isField = path.length === 4 && server !== undefined && !server.values.has(name)
      if (isField) server?.values.set(name, text.trim())
      path.pop()
      text = ""
      if (path.length !== 2 || server === undefined) return
      const [hostname = "", port = "", socketType = "", username = ""] = fields.map((field) =>
        server?.values.get(field)
      )
      servers.push({ protocol: server.protocol, hostname, port, socketType, username })
      server = undefined
    }
  }, { xmlMode: true })
  parser.end(xml)
  return servers
}
