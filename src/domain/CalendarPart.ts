/** Invitations and their answers in a message that was read (RFC 5546, RFC 6047): the iCalendar text, not its meaning. */
import { Schema } from "effect"
import type { Original } from "./Original.ts"

/** One calendar. `method` in upper case, as the calendar itself names it; without one it is no request, but data. */
export class CalendarPart extends Schema.Class<CalendarPart>("effect-mail/CalendarPart")({
  method: Schema.optionalKey(Schema.String),
  text: Schema.String,
  filename: Schema.optionalKey(Schema.String)
}) {
  /** The calendars of a message, each once: mail programs send the same as an alternative of the text and as a file. */
  static of(message: Pick<Original, "attachments">): ReadonlyArray<CalendarPart> {
    const found = new Map<string, CalendarPart>()
    for (const { content, filename, type } of message.attachments) {
      if (!isCalendar(type, filename) || content === undefined) continue
      // RFC 5545 3.1.4: UTF-8 unless said otherwise, and nobody says otherwise
      const text = new TextDecoder().decode(content)
      const key = text.replace(/\r\n?/g, "\n").trim()
      if (!/^BEGIN:VCALENDAR/im.test(key)) continue
      const method = /^METHOD[^:\r\n]*:[ \t]*([^\s]+)/im.exec(text)?.[1]?.toUpperCase()
      const named = filename ?? found.get(key)?.filename
      found.set(
        key,
        new CalendarPart({
          ...(method === undefined ? {} : { method }),
          text,
          ...(named === undefined ? {} : { filename: named })
        })
      )
    }
    return [...found.values()]
  }
}

const isCalendar = (type: string, filename: string | undefined): boolean =>
  /^(?:text\/calendar|application\/ics)$/i.test(type) ||
  (/^application\/octet-stream$/i.test(type) && /\.ics$/i.test(filename ?? ""))
