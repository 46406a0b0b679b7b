/** What the IMAP side can do, and what can be switched off, to see how a client fares with a poorer server. */

/** Extensions that can be switched off. */
const optionalCapabilities = [
  "LITERAL+",
  "IDLE",
  "UIDPLUS",
  "MOVE",
  "CONDSTORE",
  "QRESYNC",
  "ESEARCH",
  "SPECIAL-USE",
  "QUOTA",
  "OBJECTID"
] as const

export type OptionalCapability = (typeof optionalCapabilities)[number]

const fixed = ["ID", "ENABLE", "NAMESPACE", "UNSELECT", "CHILDREN", "LIST-EXTENDED", "LIST-STATUS", "WITHIN"]

/** All capabilities but those of authentication. QRESYNC goes with CONDSTORE (RFC 7162 3.2.3). */
export const capabilitiesWithout = (without: ReadonlyArray<OptionalCapability>): ReadonlySet<string> => {
  const off = new Set<OptionalCapability>(without)
  if (off.has("CONDSTORE")) off.add("QRESYNC")
  return new Set([...fixed, ...optionalCapabilities.filter((name) => !off.has(name))])
}
