/**
 * Character sets of mail: the platform's decoders, under the names that mail knows them by. Windows-1252, which is also
 * meant by ISO-8859-1 and US-ASCII (WHATWG Encoding 4.2), is decoded here: many versions of Node 22 and 24 read its
 * quotes, dashes and euro sign as control characters (nodejs/node issue 60888).
 */

export interface CharsetDecoder {
  readonly decode: (octets: Uint8Array) => string
}

/** Undefined where the charset is not known. With `ignoreBOM` a byte order mark is a character like others. */
export const charsetDecoder = (
  charset: string,
  options?: { readonly ignoreBOM?: boolean }
): CharsetDecoder | undefined => {
  const label = charset.trim().toLowerCase()
  try {
    const decoder = new TextDecoder(aliases[label] ?? label, options)
    return decoder.encoding === "windows-1252" ? windows1252 : decoder
  } catch {
    return undefined
  }
}

/** Names that mail uses and the WHATWG table does not have. */
const aliases: { readonly [label: string]: string | undefined } = {
  "cp932": "shift_jis",
  "cp936": "gbk",
  "cp949": "euc-kr",
  "cp950": "big5",
  "iso-8859-8-e": "iso-8859-8",
  "ks_c_5601-1987": "euc-kr",
  "utf8mb4": "utf-8"
}

/** What stands at 0x80 to 0x9F, where ISO-8859-1 has control characters. */
const windows1252Block = "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ"

export const windows1252: CharsetDecoder = {
  decode: ({ buffer, byteLength, byteOffset }) =>
    Buffer.from(buffer, byteOffset, byteLength).toString("latin1").replace(
      /[\u0080-\u009f]/g,
      (char) => windows1252Block[char.charCodeAt(0) - 0x80] ?? char
    )
}
