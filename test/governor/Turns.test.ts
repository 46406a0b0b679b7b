import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Turns } from "../../src/governor/Turns.ts"

const names = (turns: Turns<string, string>) => turns.inOrder().map(({ value }) => value)

describe("Turns", () => {
  it("lets agents alternate and keeps each agent's calls in order", () => {
    const turns = new Turns<string, string>()
    for (const name of ["a1", "a2", "a3", "b1", "c1", "b2"]) turns.add(name.slice(0, 1), "read", name)
    assert.deepStrictEqual(names(turns), ["a1", "b1", "c1", "a2", "b2", "a3"])
    assert.strictEqual(turns.agents, 3)
  })

  it("puts an agent that comes later behind the turn that is served, not behind all that wait", () => {
    const turns = new Turns<string, string>()
    const first = ["a1", "a2", "a3", "a4"].map((name) => turns.add("a", "read", name))
    for (const turn of first.slice(0, 2)) turns.serve(turn)
    turns.add("b", "read", "b1")
    assert.deepStrictEqual(names(turns), ["a3", "b1", "a4"])
  })

  it("walks over the first of each agent and kind, and on behind those that were taken out", () => {
    const turns = new Turns<string, string>()
    for (const name of ["a1", "a2", "a3", "b1", "b2", "c1"]) {
      turns.add(name.slice(0, 1), name.endsWith("2") ? "send" : "read", name)
    }
    const walk = (served: ReadonlyArray<string>, agents: ReadonlyArray<string>, kinds: ReadonlyArray<string>) => {
      const seen: Array<string> = []
      const passed = { kind: (kind: string) => kinds.includes(kind), agent: (agent: string) => agents.includes(agent) }
      for (const turn of turns.walk(passed)) {
        seen.push(turn.value)
        if (served.includes(turn.value)) turns.serve(turn)
      }
      return seen
    }
    assert.deepStrictEqual(walk([], [], []), ["a1", "b1", "c1", "a2", "b2"])
    assert.deepStrictEqual(walk([], ["a"], []), ["b1", "c1", "b2"])
    assert.deepStrictEqual(walk([], [], ["read"]), ["a2", "b2"])
    assert.deepStrictEqual(walk(["a1", "b1"], ["c"], []), ["a1", "b1", "a2", "b2", "a3"])
    assert.deepStrictEqual(names(turns), ["c1", "a2", "b2", "a3"])
  })

  it("knows who is the first of its agent and kind", () => {
    const turns = new Turns<string, string>()
    const [first, second] = [turns.add("a", "read", "a1"), turns.add("a", "read", "a2")]
    assert.deepStrictEqual([first, second].map((turn) => turns.isFirst(turn)), [true, false])
    assert.isTrue(turns.isFirst(turns.add("a", "send", "a3")))
    turns.remove(first)
    assert.deepStrictEqual([first, second].map((turn) => turns.isFirst(turn)), [false, true])
  })

  it("takes a call out once, and forgets an agent without calls", () => {
    const turns = new Turns<string, string>()
    const [one, two] = [turns.add("a", "read", "a1"), turns.add("a", "read", "a2")]
    assert.isTrue(turns.remove(one))
    assert.isFalse(turns.remove(one))
    assert.isFalse(turns.serve(one))
    assert.isTrue(turns.serve(two))
    assert.deepStrictEqual([turns.size, turns.agents], [0, 0])
    turns.add("a", "read", "a3")
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
      const turns = new Turns<{ readonly agent: string; readonly ahead: number; passed: Map<string, number> }, string>()
      for (const event of events) {
        if (event !== "serve") {
          const ahead = turns.inOrder().filter(({ agent }) => agent === event).length
          turns.add(event, "read", { agent: event, ahead, passed: new Map() })
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
