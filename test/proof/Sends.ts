/**
 * What is known of each message sent from the answers alone: whether it was accepted, and what became of its copy.
 * Compared in the end with what the server took and holds.
 */
import { MailError, type Receipt } from "../../src/index.ts"

/** How often the server has accepted a message, and how many copies the sender has, by subject. */
export interface Sent {
  readonly accepted: ReadonlyMap<string, number>
  readonly copies: ReadonlyMap<string, number>
}

export class Sends {
  readonly #answers = new Map<string, Receipt | MailError | undefined>()

  /** A message is sent: until there is an answer it may be anywhere. */
  begin(token: string): void {
    this.#answers.set(token, undefined)
  }

  answered(token: string, answer: Receipt | MailError): void {
    this.#answers.set(token, answer)
  }

  get size(): number {
    return this.#answers.size
  }

  /** Everything that is not as the answers say. */
  differences({ accepted, copies }: Sent): ReadonlyArray<string> {
    return [...this.#answers].flatMap(([token, answer]) => {
      const [taken, kept] = [accepted.get(token) ?? 0, copies.get(token) ?? 0]
      const wrong = (what: string) => [`${token} was accepted ${taken} times, with ${kept} copies: ${what}`]
      if (taken > 1 || kept > taken) return wrong("more than once")
      if (answer === undefined) return []
      if (answer instanceof MailError) {
        if (answer.reason._tag !== "OutcomeUnknown" && taken > 0) return wrong(`although it failed: ${answer.message}`)
        return []
      }
      if (taken !== 1) return wrong("although there is a receipt")
      return answer.sentCopy._tag === "Filed" && kept !== 1 ? wrong("although its copy was filed") : []
    })
  }
}
