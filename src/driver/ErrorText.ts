/** What a thrown value says. */

/** Its message; that of its cause where it has one, as fetch's "fetch failed", whose cause names the socket's trouble. */
export const errorText = (thrown: unknown): string => {
  if (!(thrown instanceof Error)) return String(thrown)
  return thrown.cause instanceof Error ? thrown.cause.message : thrown.message
}
