import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Turns } from "../../src/governor/Turns.ts"

const names = (turns: Turns<string>) => turns.inOrder().map(({ value }) => value)

describe("Turns", () => {
  it("lets agents alternate and keeps each agent's calls in order", () => {
    const turns = new Turns<string>()
    for (const name of ["a1", "a2", "a3", "b1", "c1", "b2"]) turns.add(name.slice(0, 1), name)
    assert.deepStrictEqual(names(turns), ["a1", "b1", "c1", "a2", "b2", "a3"])
    assert.strictEqual(turns.agents, 3)
  })

  it("puts an agent that comes later behind the turn that is served, not behind all that wait", () => {
    const turns = new Turns<string>()
    const first = ["a1", "a2", "a3", "a4"].map((name) => turns.add("a", name))
    for (const turn of first.slice(0, 2)) turns.serve(turn)
    turns.add("b", "b1")
    assert.deepStrictEqual(names(turns), ["a3", "b1", "a4"])
  })

  it("takes a call out once, and forgets an agent without calls", () => {
    const turns = new Turns<string>()
    const [one, two] = [turns.add("a", "a1"), turns.add("a", "a2")]
    assert.isTrue(turns.remove(one))
    assert.isFalse(turns.remove(one))
    assert.isFalse(turns.serve(one))
    assert.isTrue(turns.serve(two))
    assert.deepStrictEqual([turns.size, turns.agents], [0, 0])
    turns.add("a", "a3")
    assert.deepStrictEqual(turns.clear().map(({ value }) => value), ["a3"])
    assert.deepStrictEqual([turns.size, turns.agents], [0, 0])
  })

  it.prop(
    "lets no other agent pass with more than one call for each turn to come, and one that was before",
    [
      Schema.Array(Schema.Union([Schema.Literals(["a", "b", "c"]), Schema.Literal("serve")])).check(
        Schema.isMaxLength(80)
      )
    ],
    ([events]) => {
      const turns = new Turns<{ readonly agent: string; readonly ahead: number; passed: Map<string, number> }>()
      for (const event of events) {
        if (event !== "serve") {
          const ahead = turns.inOrder().filter(({ agent }) => agent === event).length
          turns.add(event, { agent: event, ahead, passed: new Map() })
          continue
        }
        const [next, ...rest] = turns.inOrder()
        if (next === undefined) continue
        turns.serve(next)
        for (const { value } of rest) value.passed.set(next.agent, (value.passed.get(next.agent) ?? 0) + 1)
        for (const [agent, count] of next.value.passed) {
          if (agent !== next.agent) assert.isAtMost(count, next.value.ahead + 2)
        }
      }
    }
  )
})
