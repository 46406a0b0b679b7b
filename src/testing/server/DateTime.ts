/** Dates of the wire: date-time "17-Jul-1996 02:44:25 -0700" and date "1-Feb-1994" (RFC 9051 9). Pure. */

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

/** The instant of a date-time, or undefined where it is none. */
export const parseDateTime = (text: string): Date | undefined => {
  const match = /^\s*(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})$/.exec(text)
  if (match === null) return undefined
  const [, day, month, year, hour, minute, second, sign, zoneHours, zoneMinutes] = match
  const index = monthOf(month)
  if (index < 0) return undefined
  const local = Date.UTC(Number(year), index, Number(day), Number(hour), Number(minute), Number(second))
  const zone = (Number(zoneHours) * 60 + Number(zoneMinutes)) * 60_000
  return new Date(sign === "-" ? local + zone : local - zone)
}

/** A date as "1994-02-01", or undefined where it is none. */
export const parseDate = (text: string): string | undefined => {
  const match = /^(\d{1,2})-([A-Za-z]{3})-(\d{4})$/.exec(text)
  const index = monthOf(match?.[2])
  if (match === null || index < 0) return undefined
  return `${match[3]}-${String(index + 1).padStart(2, "0")}-${String(match[1]).padStart(2, "0")}`
}

/** A date-time in UTC, quoted. */
export const toDateTime = (date: Date): string => {
  const two = (value: number) => String(value).padStart(2, "0")
  const day = String(date.getUTCDate()).padStart(2, " ")
  return `"${day}-${months[date.getUTCMonth()]}-${date.getUTCFullYear()} ${two(date.getUTCHours())}:${
    two(date.getUTCMinutes())
  }:${two(date.getUTCSeconds())} +0000"`
}

const monthOf = (name: string | undefined): number =>
  months.findIndex((month) => month.toLowerCase() === name?.toLowerCase())
