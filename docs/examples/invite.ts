/** A draft with all it can hold: text and HTML, a picture inside it, a file, an invitation. */
import { Effect } from "effect"
import { Attachment, Draft, Invitation, MailAccount } from "effect-mail"

const calendar = `BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example.com//EN
METHOD:REQUEST
BEGIN:VEVENT
UID:1@example.com
DTSTAMP:20260105T100000Z
DTSTART:20260112T090000Z
DTEND:20260112T100000Z
SUMMARY:Planning
ORGANIZER:mailto:alice@example.com
ATTENDEE;RSVP=TRUE:mailto:bob@example.com
END:VEVENT
END:VCALENDAR
`

const logo = Uint8Array.from(atob("R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="), (char) => char.charCodeAt(0))

// #region draft
export const draft = new Draft({
  to: "Bob <bob@example.com>",
  subject: "Planning",
  text: "Will you come?",
  html: "<p><img src=\"cid:logo@example.com\" alt=\"\"> Will you come?</p>",
  calendar: new Invitation({ method: "REQUEST", text: calendar }),
  attachments: [
    new Attachment({
      content: { bytes: logo },
      type: "image/gif",
      contentId: "logo@example.com",
      disposition: "inline"
    }),
    new Attachment({ content: { text: "1. The plan\n" }, filename: "agenda.txt" })
  ]
})
// #endregion

export const main = Effect.flatMap(MailAccount, (mail) => mail.send(draft))
