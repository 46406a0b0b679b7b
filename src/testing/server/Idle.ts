/** IDLE (RFC 2177): the session hears at once what others do, until the client says DONE. */
import { bad } from "./Refusal.ts"
import type { Commands } from "./SessionCommand.ts"

export const idle: Commands = {
  IDLE: {
    state: "authenticated",
    needs: "IDLE",
    run: async ({ args, session }) => {
      args.end()
      session.line("+ idling")
      const tell = () => {
        if (session.view?.invalid === "deleted") return session.farewell("The selected mailbox was deleted")
        session.view?.announce(session.out, session.enabled, true)
      }
      tell()
      const line = await session.readOrHear((reader) => reader.nextLine(), tell)
      if (line === undefined) return undefined
      if (line.toString("latin1").trim().toUpperCase() !== "DONE") throw bad("Expected DONE")
      return "IDLE completed"
    }
  }
}
