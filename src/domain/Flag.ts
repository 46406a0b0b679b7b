/** Flags of messages (RFC 9051 2.3.2), as far as they can be written. */

/** An atom, with a backslash in front for the system's own (RFC 9051 9, flag). */
export const isFlag = (text: string): boolean => /^\\?[!#$&'+-[^-z|}~]+$/.test(text)
