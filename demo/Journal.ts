/**
 * What the demo has done, stage by stage, and how far the present one is. Progress goes to stderr: a line that is drawn
 * again on a terminal, a line now and then elsewhere. The table of the stages goes wherever the caller prints it.
 */
import { Clock, Effect, Ref } from "effect"
import { bytes, rate, seconds, table } from "./text.ts"

/** Counts one thing done, and its octets. */
export type Tick = (octets?: number) => Effect.Effect<void>

interface Progress {
  readonly done: number
  readonly octets: number
}

interface Row extends Progress {
  readonly name: string
  readonly unit: string
  readonly by: string
  readonly millis: number
}

export interface StageOptions {
  readonly name: string
  /** What is counted, in the plural. */
  readonly unit: string
  /** Who works. */
  readonly by: string
  /** How many there will be. */
  readonly total: number
}

const barWidth = 24
const drawnEvery = "80 millis"
const printedEvery = "2 seconds"

export class Journal {
  readonly #rows: Array<Row> = []
  readonly #stream: NodeJS.WriteStream

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  /** Runs one stage: shows how far it is while it runs, and keeps what it did. */
  stage<A, E, R>(options: StageOptions, use: (tick: Tick) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.gen({ self: this }, function*() {
      const started = yield* Clock.currentTimeMillis
      const progress = yield* Ref.make<Progress>({ done: 0, octets: 0 })
      const { isTTY } = this.#stream
      const show = Effect.gen({ self: this }, function*() {
        const text = line(options, yield* Ref.get(progress), (yield* Clock.currentTimeMillis) - started)
        this.#stream.write(isTTY ? `\r\u001b[K${text}` : `${text}\n`)
      })
      const showing = Effect.forever(Effect.delay(show, isTTY ? drawnEvery : printedEvery))
      const tick: Tick = (octets = 0) =>
        Ref.update(progress, (before) => ({ done: before.done + 1, octets: before.octets + octets }))

      const answer = yield* Effect.raceFirst(use(tick), showing).pipe(
        Effect.ensuring(Effect.andThen(show, Effect.sync(() => isTTY && this.#stream.write("\n"))))
      )
      const { by, name, unit } = options
      const millis = (yield* Clock.currentTimeMillis) - started
      this.#rows.push({ ...yield* Ref.get(progress), name, unit, by, millis })
      return answer
    })
  }

  toString(): string {
    return table(
      ["stage", "done", "what", "by", "octets", "time", "throughput"],
      this.#rows.map(({ by, done, millis, name, octets, unit }) => [
        name,
        done,
        unit,
        by,
        octets === 0 ? "" : bytes(octets),
        seconds(millis),
        octets === 0 ? rate(done, millis, unit) : `${bytes(octets / Math.max(0.001, millis / 1000))}/s`
      ])
    )
  }
}

const line = ({ name, total, unit }: StageOptions, { done, octets }: Progress, millis: number): string => {
  const filled = total === 0 ? barWidth : Math.min(barWidth, Math.round((done / total) * barWidth))
  const bar = `[${"#".repeat(filled)}${".".repeat(barWidth - filled)}]`
  const speed = octets === 0 ? "" : `, ${bytes(octets / Math.max(0.001, millis / 1000))}/s`
  return `${name.padEnd(10)} ${bar} ${done}/${total} ${unit}, ${seconds(millis)}${speed}`
}
