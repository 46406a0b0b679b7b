/** Programs of their own, in which something is measured: each answers once, and none outlives whoever waits for it. */
import { Effect } from "effect"
import { fork, spawn } from "node:child_process"
import { join } from "node:path"

/** Runs a program of this folder, whose one message to its parent is an `A`. */
export const answerOf = <A>(file: string, argument: string, execArgv: ReadonlyArray<string>): Effect.Effect<A> =>
  Effect.callback<A>((resume) => {
    const child = fork(join(import.meta.dirname, file), [argument], { execArgv: [...execArgv] })
    let answer: Effect.Effect<A> | undefined
    child.once("message", (message) => {
      answer = Effect.succeed(message as A) // what the program of this name sends
    })
    child.once("close", (code) => resume(answer ?? Effect.die(new Error(`${file} ended with ${code}`))))
    return Effect.sync(() => void child.kill())
  })

/** Runs a program that is installed to its end, and fails with what it said where that is no good one. */
export const ended = (command: string, args: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] })
    let said = ""
    child.stderr.on("data", (chunk: Buffer) => said += chunk.toString("utf8"))
    child.once(
      "close",
      (code) => resume(code === 0 ? Effect.void : Effect.die(new Error(`${command} ended with ${code}: ${said}`)))
    )
    return Effect.sync(() => void child.kill())
  })
