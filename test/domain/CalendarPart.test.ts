import { assert, describe, it } from "@effect/vitest"
import { CalendarPart } from "../../src/domain/CalendarPart.ts"

const text = (method: string) => `BEGIN:VCALENDAR\r\nMETHOD:${method}\r\nSUMMARY:\u5c71\r\nEND:VCALENDAR\r\n`
const part = (type: string, content: string, filename?: string) => ({
  type,
  disposition: "attachment" as const,
  content: Buffer.from(content),
  ...(filename === undefined ? {} : { filename })
})

describe("calendar parts", () => {
  it("are found once, as an alternative, a file, or a file of no type", () => {
    const attachments = [
      part("text/calendar", text("request")),
      part("application/ics", text("request").replaceAll("\r\n", "\n"), "invite.ics"),
      part("application/octet-stream", text("CANCEL"), "Away.ICS"),
      part("text/calendar", "BEGIN:VCALENDAR\nEND:VCALENDAR"),
      part("text/calendar", "nothing"),
      part("text/plain", text("REQUEST"))
    ]
    const found = CalendarPart.of({ attachments })
    assert.deepStrictEqual(found.map(({ filename, method }) => [method, filename]), [
      ["REQUEST", "invite.ics"],
      ["CANCEL", "Away.ICS"],
      [undefined, undefined]
    ])
    assert.include(found[0]?.text ?? "", "\u5c71")
  })
})
