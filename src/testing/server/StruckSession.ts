/** What a fault does to an IMAP session. */
import { Duration } from "effect"
import type { FaultAction } from "../Faults.ts"
import { statusText } from "./Refusal.ts"
import type { Session } from "./Session.ts"

/** Carries out a fault. True where the step takes place after all. */
export const survives = async (session: Session, action: FaultAction, tag: string): Promise<boolean> => {
  switch (action._tag) {
    case "Drop":
      if (action.when === "before") session.drop()
      return action.when === "after"
    case "Stall":
      await session.stall()
      return false
    case "Delay":
      session.out.flush()
      await session.delay(Duration.toMillis(action.duration))
      return !session.isGone
    case "Refuse": {
      const text = statusText(action.text, action.code)
      if (action.status === "BYE") session.farewell(text)
      else session.line(`${tag} ${action.status} ${text}`)
      return false
    }
    case "Corrupt":
      session.line("\u0000\u00ff\u0007~{ no IMAP")
      return false
    case "Reply":
      return true
  }
}
