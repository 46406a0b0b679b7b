/** A key to sign mail with (RFC 6376). */
import { Schema } from "effect"
import { madeByHand } from "./MadeByHand.ts"

/**
 * Messages are signed with rsa-sha256, relaxed/relaxed, over exactly the octets that are sent. `domainName` is the "d="
 * of the signature, `keySelector` its "s="; the public key is in DNS at `<keySelector>._domainkey.<domainName>`.
 * `privateKey` is PEM text of an RSA key.
 */
export class Dkim extends madeByHand(
  Schema.Class<Dkim>("effect-mail/Dkim")({
    domainName: Schema.NonEmptyString,
    keySelector: Schema.NonEmptyString,
    privateKey: Schema.RedactedFromValue(Schema.NonEmptyString, { disallowEncode: true })
  })
) {}
