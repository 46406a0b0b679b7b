/** Messages that programs sent, or sent to many: answering one of them by program can begin a loop (RFC 3834 2). */
import { valueOf } from "./HeaderText.ts"
import type { Original } from "./Original.ts"

/**
 * Whether a message must not be answered by a program: an automatic one (Auto-Submitted), a bounce (an empty
 * Return-Path, a delivery report), one from a list or in bulk, or from an address that is no person's.
 */
export const isAutomatic = (message: Pick<Original, "headers" | "from">): boolean => {
  const header = (name: string) => valueOf(message.headers, name)?.trim()
  const submitted = header("auto-submitted")
  if (submitted !== undefined && !/^no\b/i.test(submitted)) return true
  if (/^<\s*>$/.test(header("return-path") ?? "")) return true
  if (/^(bulk|list|junk|auto_reply)\b/i.test(header("precedence") ?? "")) return true
  if (/^multipart\/report\b/i.test(header("content-type") ?? "")) return true
  // X-Auto-Response-Suppress is Exchange's way of asking for the same
  if (/\b(all|autoreply|oof)\b/i.test(header("x-auto-response-suppress") ?? "")) return true
  if (
    ["list-id", "list-post", "list-unsubscribe", "x-autoreply", "x-autorespond"].some((name) =>
      header(name) !== undefined
    )
  ) {
    return true
  }
  return message.from.length === 0 ||
    message.from.some(({ address }) =>
      /^(mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?|[^@]*-bounces|[^@]*-(?:request|owner)|owner-[^@]*)(?:[+=-][^@]*)?@/i
        .test(address)
    )
}
