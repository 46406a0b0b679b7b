/** Sends a letter to many, each with their own words, as fast as the provider allows and never twice to the same. */
import { Duration, Effect } from "effect"
import { Draft, Limits, MailAccount, RateWindow } from "effect-mail"

// #region program
export interface Person {
  readonly address: string
  readonly name: string
}

export type Outcome = "sent" | "refused" | "unknown"

/**
 * What a provider allows; put it into the `AccountConfig`. Letters wait for their minute. Those for which there is no room
 * that day fail with `RateLimited`, which ends the run: the next day's goes on with them.
 */
export const limits = new Limits({
  smtpConnections: 2,
  rates: [
    new RateWindow({ per: "send", limit: 20, window: Duration.minutes(1) }),
    new RateWindow({ per: "recipients", limit: 500, window: Duration.days(1) })
  ]
})

/**
 * What became of each letter. `note` is called after each one; store what it is told, and leave those people out when
 * the program is run again, also those whose outcome is unknown: they may have their letter.
 */
export const mailMerge = <E>(
  people: ReadonlyArray<Person>,
  letter: (person: Person) => Draft,
  note: (person: Person, outcome: Outcome) => Effect.Effect<void, E>
) =>
  Effect.flatMap(MailAccount, (mail) =>
    Effect.forEach(people, (person) =>
      mail.send(letter(person)).pipe(
        Effect.as<Outcome>("sent"),
        Effect.catchReasons("MailError", {
          RecipientsRejected: () => Effect.succeed<Outcome>("refused"),
          OutcomeUnknown: () => Effect.succeed<Outcome>("unknown")
        }),
        Effect.tap((outcome) => note(person, outcome))
      ), { concurrency: 4 }))

export const invitation = ({ address, name }: Person) =>
  new Draft({ to: `${name} <${address}>`, subject: `Dear ${name}`, text: `Dear ${name},\n\nwill you come?\n` })
// #endregion
