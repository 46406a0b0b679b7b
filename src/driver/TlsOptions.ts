/** What an account trusts, as Node's TLS takes it: the same for both protocols. */
import { type ConnectionOptions, getCACertificates } from "node:tls"
import type { Trust } from "../domain/AccountConfig.ts"

/** `ca` comes beside the system's certificates, not in their place; certificates are checked unless told otherwise. */
export const tlsOptions = (trust: Trust | undefined): ConnectionOptions => ({
  ...(trust?.ca === undefined ? {} : { ca: [...getCACertificates("default"), trust.ca] }),
  ...(trust?.servername === undefined ? {} : { servername: trust.servername }),
  rejectUnauthorized: trust?.verify !== false
})
