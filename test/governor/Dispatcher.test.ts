import { assert, describe, it } from "@effect/vitest"
import { type Action, Dispatcher, type DispatcherOptions, type Event } from "../../src/governor/Dispatcher.ts"
import { play } from "./DispatcherModel.ts"

const defaults: DispatcherOptions = {
  cap: 2,
  queue: 1_000,
  maxWaitMillis: 60_000,
  idleTimeToLiveMillis: 120_000,
  overtakings: 2,
  overtakingMillis: 1_000,
  shareLimit: 10,
  selects: 3,
  selectsMillis: 10_000,
  pressedMillis: 5_000,
  lingerMillis: 200
}

/** A dispatcher that is told one thing after another, and decides after each. Actions are written as words. */
const dispatching = (options: Partial<DispatcherOptions> = {}) => {
  const dispatcher = new Dispatcher({ ...defaults, ...options })
  let id = 0
  let now = 0
  const plan = () => dispatcher.plan(now).map(words)
  const tell = (...events: ReadonlyArray<Event>) => {
    for (const event of events) dispatcher.apply(event, now)
    return plan()
  }
  const request = (
    agent: string,
    affinity?: string,
    { shareKey, since, size = 1 }: {
      readonly shareKey?: string
      readonly size?: number
      readonly since?: number
    } = {}
  ): Event => ({ _tag: "Submitted", request: { id: ++id, agent, affinity, shareKey, size, since } })
  return {
    dispatcher,
    tell,
    request,
    ask: (...of: Parameters<typeof request>) => tell(request(...of)),
    opened: (connection: number) => tell({ _tag: "Opened", connection }),
    done: (connection: number, affinity?: string) => tell({ _tag: "Done", connection, affinity }),
    closed: (connection: number) => tell({ _tag: "Closed", connection }),
    pass: (millis: number) => {
      now += millis
      return plan()
    },
    wakesIn: () => {
      const at = dispatcher.wakeAt(now)
      return at === undefined ? undefined : at - now
    }
  }
}

const words = (action: Action): string => {
  switch (action._tag) {
    case "Open":
    case "Close":
      return `${action._tag} ${action.connection}`
    case "Run":
      return `Run ${action.requests.join("+")} on ${action.connection}`
    case "Rest":
      return `Rest ${action.connection} on ${action.mailbox}`
    case "Fail":
      return `Fail ${action.request}: ${action.why}`
  }
}

/** Has these connections open and idle, with these mailboxes selected. */
const withConnections = (affinities: ReadonlyArray<string | undefined>, options: Partial<DispatcherOptions> = {}) => {
  const test = dispatching({ cap: affinities.length, ...options })
  // as many at once as there are connections, so that all of them are opened
  test.tell(...affinities.map(() => test.request("opener")))
  affinities.forEach((_, index) => test.opened(index + 1))
  affinities.forEach((affinity, index) => test.done(index + 1, affinity))
  return { ...test, first: affinities.length + 1 }
}

describe("any history", () => {
  // EFFECT_MAIL_SEED=7 plays one history, EFFECT_MAIL_SEED=1-1000000 many.
  const [first = 1, last = first] = (process.env.EFFECT_MAIL_SEED ?? "1-10000").split("-").map(Number)
  const histories = 200

  for (let from = first; from <= last; from += histories) {
    const to = Math.min(last, from + histories - 1)
    it(`keeps the rules of the dispatcher: ${from} to ${to}`, () => {
      for (let seed = from; seed <= to; seed++) {
        const failure = play(seed)
        if (failure !== undefined) assert.fail(failure)
      }
    })
  }
})

describe("connections", () => {
  it("are opened one after another, and only for requests that would wait", () => {
    const { ask, done, opened } = dispatching({ cap: 3 })
    assert.deepStrictEqual(ask("a"), ["Open 1"])
    assert.deepStrictEqual(ask("a"), [])
    assert.deepStrictEqual(opened(1), ["Run 1 on 1", "Open 2"])
    assert.deepStrictEqual(done(1), ["Run 2 on 1"])
    assert.deepStrictEqual(opened(2), [])
    assert.deepStrictEqual(ask("a"), ["Run 3 on 2"])
  })

  it("count against the cap until they have closed", () => {
    const { ask, closed, opened, tell } = dispatching({ cap: 1 })
    ask("a")
    opened(1)
    assert.deepStrictEqual(tell({ _tag: "Closing", connection: 1 }), [])
    assert.deepStrictEqual(ask("a"), [])
    assert.deepStrictEqual(closed(1), ["Open 2"])
  })

  it("are not given work while they close", () => {
    const { ask, tell } = withConnections([undefined, undefined])
    tell({ _tag: "Closing", connection: 1 })
    assert.deepStrictEqual(ask("a"), ["Run 3 on 2"])
    assert.deepStrictEqual(ask("a"), [])
  })

  it("are closed after their time to live without work", () => {
    const { dispatcher, pass, wakesIn } = withConnections([undefined])
    assert.strictEqual(wakesIn(), defaults.idleTimeToLiveMillis)
    assert.deepStrictEqual(pass(defaults.idleTimeToLiveMillis - 1), [])
    assert.deepStrictEqual(pass(1), ["Close 1"])
    assert.strictEqual(dispatcher.connections.closing, 1)
    assert.strictEqual(wakesIn(), undefined)
  })

  it("above a lowered cap are closed, the free ones at once and the others before they get more work", () => {
    const { ask, done, tell } = withConnections([undefined, undefined, undefined])
    ask("a")
    ask("a")
    assert.deepStrictEqual(tell({ _tag: "CapChanged", cap: 1 }), ["Close 3"])
    assert.deepStrictEqual(ask("a"), [])
    assert.deepStrictEqual(done(1), ["Close 1"])
    assert.deepStrictEqual(done(2), ["Run 6 on 2"])
  })

  it("are opened up to a raised cap", () => {
    const { request, tell } = withConnections([undefined])
    assert.deepStrictEqual(tell(request("a"), request("a"), request("a")), ["Run 2 on 1"])
    assert.deepStrictEqual(tell({ _tag: "CapChanged", cap: 2 }), ["Open 2"])
  })

  it("that cannot be opened fail those who wait, where there is no other", () => {
    const { ask, request, tell, wakesIn } = dispatching()
    tell(request("a"), request("b"))
    assert.deepStrictEqual(tell({ _tag: "OpenFailed", connection: 1, failWaiting: true, retryAt: 0 }), [
      "Fail 1: OpenFailed",
      "Fail 2: OpenFailed"
    ])
    assert.strictEqual(wakesIn(), undefined)
    assert.deepStrictEqual(ask("a"), ["Open 2"])
  })

  it("that cannot be opened are tried again later, where there is another to wait for", () => {
    const { pass, request, tell, wakesIn } = withConnections([undefined], { cap: 2 })
    tell(request("a"), request("a"))
    assert.deepStrictEqual(tell({ _tag: "OpenFailed", connection: 2, failWaiting: false, retryAt: 5_000 }), [])
    assert.strictEqual(wakesIn(), 5_000)
    assert.deepStrictEqual(pass(5_000), ["Open 3"])
  })
})

describe("a mailbox", () => {
  it("that a free connection has selected takes a request there", () => {
    const { ask } = withConnections(["INBOX", "Sent"])
    assert.deepStrictEqual(ask("a", "Sent"), ["Run 3 on 2"])
  })

  it("is selected on a connection with none, and a connection that is there before one is opened", () => {
    const { ask } = withConnections(["INBOX", undefined], { cap: 4 })
    assert.deepStrictEqual(ask("a", "Sent"), ["Run 3 on 2"])
    assert.deepStrictEqual(ask("a", "Junk"), ["Run 4 on 1"])
  })

  it("stays selected where somebody waits for it", () => {
    const { request, tell } = withConnections(["INBOX", "Sent"])
    assert.deepStrictEqual(tell(request("a", "Junk"), request("b", "INBOX")), ["Run 3 on 2", "Run 4 on 1"])
  })

  it("is waited for on a connection that has worked for less than two round trips, and selected on another then", () => {
    const { ask, done, pass, wakesIn } = withConnections(["INBOX", "Sent"])
    for (let request = 0; request < 8; request++) {
      ask("a", "INBOX")
      pass(40)
      done(1, "INBOX")
    }
    // a round trip takes 40 ms, as far as is known
    assert.deepStrictEqual(ask("a", "INBOX"), ["Run 11 on 1"])
    pass(30)
    assert.deepStrictEqual(ask("b", "INBOX"), [])
    assert.deepStrictEqual(ask("c", "Archive"), ["Run 13 on 2"])
    pass(40)
    assert.deepStrictEqual(done(2, "Archive"), [])
    assert.strictEqual(wakesIn(), 10)
    assert.deepStrictEqual(pass(9), [])
    assert.deepStrictEqual(pass(1), ["Run 12 on 2"])
  })

  it("is no reason to wait for a request that needs none", () => {
    const { request, tell } = withConnections(["INBOX"])
    assert.deepStrictEqual(tell(request("a"), request("b", "INBOX")), ["Run 2 on 1"])
  })

  it("that changes too often on one connection is worth another", () => {
    const { ask, done } = withConnections(["INBOX"], { cap: 2, selects: 3 })
    assert.deepStrictEqual(ask("a", "Sent"), ["Run 2 on 1"])
    done(1, "Sent")
    ask("a", "INBOX")
    done(1, "INBOX")
    assert.deepStrictEqual(ask("a", "Sent"), ["Run 4 on 1", "Open 2"])
  })

  it("that changes now and then is not", () => {
    const { ask, done, pass } = withConnections(["INBOX"], { cap: 2, selects: 3 })
    for (const mailbox of ["Sent", "INBOX", "Sent", "INBOX"]) {
      assert.lengthOf(ask("a", mailbox), 1)
      done(1, mailbox)
      pass(defaults.selectsMillis / 2)
    }
  })

  it("lets requests that want it go first, a bounded number of times", () => {
    const { done, request, tell } = withConnections(["INBOX"])
    assert.deepStrictEqual(
      tell(request("a", "Sent"), ...["b", "c", "d"].map((agent) => request(agent, "INBOX"))),
      ["Run 3 on 1"]
    )
    assert.deepStrictEqual(done(1, "INBOX"), ["Run 4 on 1"])
    assert.deepStrictEqual(done(1, "INBOX"), ["Run 2 on 1"])
    assert.deepStrictEqual(done(1, "Sent"), ["Run 5 on 1"])
  })

  it("lets requests that want it go first, for a bounded time since the first did", () => {
    const { done, pass, request, tell } = withConnections(["INBOX"], { overtakings: 100 })
    pass(5 * defaults.overtakingMillis)
    assert.deepStrictEqual(
      tell(request("a", "Sent"), ...["b", "c", "d"].map((agent) => request(agent, "INBOX"))),
      ["Run 3 on 1"]
    )
    pass(defaults.overtakingMillis - 1)
    assert.deepStrictEqual(done(1, "INBOX"), ["Run 4 on 1"])
    pass(1)
    assert.deepStrictEqual(done(1, "INBOX"), ["Run 2 on 1"])
  })

  it("may be overtaken again once its agent was served", () => {
    const { done, request, tell } = withConnections(["INBOX"], { overtakings: 1 })
    tell(request("a", "Sent"), request("a", "Sent"), request("b", "INBOX"), request("c", "INBOX"))
    assert.deepStrictEqual(done(1, "INBOX"), ["Run 2 on 1"])
    assert.deepStrictEqual(done(1, "INBOX"), ["Run 5 on 1"])
    tell(request("c", "INBOX"))
    assert.deepStrictEqual(done(1, "INBOX"), ["Run 6 on 1"])
    assert.deepStrictEqual(done(1, "INBOX"), ["Run 3 on 1"])
  })
})

describe("agents", () => {
  it("take turns, each with its own requests in order", () => {
    const { done, request, tell } = withConnections([undefined])
    const order = [
      ...tell(...["a", "a", "a", "b", "b", "c"].map((agent) => request(agent)))
    ]
    for (let turn = 0; turn < 5; turn++) order.push(...done(1))
    assert.deepStrictEqual(order, [2, 5, 7, 3, 6, 4].map((id) => `Run ${id} on 1`))
  })

  it("of weight n have n turns in a row", () => {
    const { done, request, tell } = withConnections([undefined], { weightOf: (agent) => agent === "a" ? 2 : 1 })
    const order = [...tell(...["a", "a", "a", "a", "a", "b", "b", "b"].map((agent) => request(agent)))]
    for (let turn = 0; turn < 7; turn++) order.push(...done(1))
    assert.deepStrictEqual(order, [2, 3, 7, 4, 5, 8, 6, 9].map((id) => `Run ${id} on 1`))
  })

  it("with thousands of requests do not keep another waiting", () => {
    const { ask, done, request, tell } = withConnections([undefined, undefined], { queue: 10_000 })
    tell(...Array.from({ length: 5_000 }, () => request("a")))
    assert.deepStrictEqual(ask("b"), [])
    const slots = [...done(1), ...done(2)]
    assert.include(slots, `Run ${2 + 5_000 + 1} on 2`)
  })

  it("are asked in a bounded number who could go first, however many there are", () => {
    const { request, tell } = withConnections(["INBOX"])
    const strangers = Array.from({ length: 100 }, (_, index) => request(`a${index}`, "Sent"))
    assert.deepStrictEqual(tell(...strangers, request("z", "INBOX")), ["Run 2 on 1"])
  })
})

describe("a full queue", () => {
  it("refuses at its bound, and takes the next when one has left", () => {
    const { ask, request, tell } = dispatching({ queue: 2 })
    assert.deepStrictEqual(tell(request("a"), request("a"), request("b")), ["Fail 3: QueueFull", "Open 1"])
    tell({ _tag: "Withdrawn", request: 1 })
    assert.deepStrictEqual(ask("b"), [])
  })

  it("sends nobody away before maxWait, and everybody then", () => {
    const { ask, pass, request, tell, wakesIn } = dispatching({ queue: 2, maxWaitMillis: 1_000 })
    tell(request("a"))
    pass(400)
    ask("b")
    assert.strictEqual(wakesIn(), 600)
    assert.deepStrictEqual(pass(599), [])
    assert.deepStrictEqual(pass(1), ["Fail 1: WaitedTooLong"])
    assert.deepStrictEqual(pass(400), ["Fail 2: WaitedTooLong"])
  })

  it("counts what a request has waited elsewhere", () => {
    const { pass, request, tell, wakesIn } = dispatching({ queue: 2, maxWaitMillis: 1_000 })
    tell(request("a"), request("b", undefined, { since: -700 }))
    assert.strictEqual(wakesIn(), 300)
    assert.deepStrictEqual(pass(300), ["Fail 2: WaitedTooLong"])
    assert.deepStrictEqual(pass(700), ["Fail 1: WaitedTooLong"])
  })

  it("lets nobody wait for the end of a pause that lasts longer than it may wait", () => {
    const { ask, pass, tell } = dispatching({ maxWaitMillis: 1_000 })
    ask("a")
    pass(100)
    ask("b")
    assert.deepStrictEqual(tell({ _tag: "Cooled", until: 1_050 }), ["Fail 1: Paused"])
    assert.deepStrictEqual(ask("c"), [])
    assert.deepStrictEqual(tell({ _tag: "Cooled", until: 2_000 }), ["Fail 2: Paused", "Fail 3: Paused"])
    assert.deepStrictEqual(ask("d"), ["Fail 4: Paused"])
    assert.deepStrictEqual(pass(901), [])
    assert.deepStrictEqual(ask("e"), [])
  })

  it("is emptied by a shutdown, and nothing is decided after it", () => {
    const { ask, tell, wakesIn } = dispatching()
    ask("a")
    assert.deepStrictEqual(tell({ _tag: "ShutDown" }), ["Fail 1: ShutDown"])
    assert.deepStrictEqual(ask("a"), ["Fail 2: ShutDown"])
    assert.strictEqual(wakesIn(), undefined)
  })
})

describe("a shared command", () => {
  it("takes along everybody with the same key, out of turn", () => {
    const { request, tell } = withConnections([undefined])
    const shared = { shareKey: "INBOX envelope" }
    assert.deepStrictEqual(
      tell(request("a", "INBOX", shared), request("b"), request("b", "INBOX", shared), request("c", "INBOX", shared)),
      ["Run 2+4+5 on 1"]
    )
  })

  it("is bounded by the sizes of its requests, in their order", () => {
    const { done, request, tell } = withConnections([undefined], { shareLimit: 10 })
    const sized = (agent: string, size: number) => request(agent, "INBOX", { shareKey: "k", size })
    assert.deepStrictEqual(tell(sized("a", 6), sized("b", 4), sized("c", 5), sized("d", 1)), ["Run 2+3 on 1"])
    assert.deepStrictEqual(done(1, "INBOX"), ["Run 4+5 on 1"])
  })

  it("may be one request larger than the bound", () => {
    const { request, tell } = withConnections([undefined], { shareLimit: 10 })
    assert.deepStrictEqual(tell(request("a", "INBOX", { shareKey: "k", size: 100 })), ["Run 2 on 1"])
  })

  it("runs without those who have left", () => {
    const { done, request, tell } = withConnections([undefined])
    const shared = { shareKey: "k" }
    tell(request("z"), request("a", "INBOX", shared), request("b", "INBOX", shared), request("c", "INBOX", shared))
    tell({ _tag: "Withdrawn", request: 3 })
    assert.deepStrictEqual(done(1), ["Run 4+5 on 1"])
  })
})

describe("a watched mailbox", () => {
  const watched: Event = { _tag: "Watched", mailbox: "INBOX" }

  it("is listened to on a connection that has had nothing to do for a while", () => {
    const { pass, tell, wakesIn } = withConnections([undefined])
    assert.deepStrictEqual(tell(watched), [])
    assert.strictEqual(wakesIn(), defaults.lingerMillis)
    assert.deepStrictEqual(pass(defaults.lingerMillis), ["Rest 1 on INBOX"])
    assert.strictEqual(wakesIn(), undefined)
  })

  it("gives up its connection to a request, and has it back afterwards", () => {
    const { ask, done, pass, tell } = withConnections([undefined])
    tell(watched)
    pass(defaults.lingerMillis)
    assert.deepStrictEqual(ask("a", "Sent"), ["Run 2 on 1"])
    assert.deepStrictEqual(done(1, "Sent"), [])
    assert.deepStrictEqual(pass(defaults.lingerMillis), ["Rest 1 on INBOX"])
  })

  it("keeps its connection where another is free", () => {
    const { ask, pass, tell } = withConnections([undefined, undefined])
    tell(watched)
    pass(defaults.lingerMillis)
    assert.deepStrictEqual(ask("a"), ["Run 3 on 2"])
  })

  it("keeps its connection where another has another mailbox selected, and was used later", () => {
    const { ask, done, pass, tell } = withConnections([undefined, undefined])
    tell(watched)
    pass(defaults.lingerMillis)
    ask("a", "Sent")
    pass(1_000)
    done(2, "Sent")
    assert.deepStrictEqual(ask("a", "Junk"), ["Run 4 on 2"])
  })

  it("has connections opened for it, all but the last slot", () => {
    const { opened, pass, tell } = dispatching({ cap: 3 })
    const mailboxes = ["INBOX", "Sent", "Junk"].map((mailbox): Event => ({ _tag: "Watched", mailbox }))
    assert.deepStrictEqual(tell(...mailboxes), ["Open 1"])
    assert.deepStrictEqual(opened(1), [])
    assert.deepStrictEqual(pass(defaults.lingerMillis), ["Rest 1 on INBOX", "Open 2"])
    opened(2)
    assert.deepStrictEqual(pass(defaults.lingerMillis), ["Rest 2 on Sent"])
  })

  it("waits for a connection that is at work, but not for long", () => {
    const { ask, done, pass, tell, wakesIn } = withConnections([undefined], { cap: 3 })
    tell(watched)
    assert.deepStrictEqual(ask("a", "INBOX"), ["Run 2 on 1"])
    assert.deepStrictEqual(pass(4_999), [])
    assert.strictEqual(wakesIn(), 1)
    assert.deepStrictEqual(pass(1), ["Open 2"])
    assert.deepStrictEqual(done(1, "INBOX"), [])
  })

  it("under a cap of one has the only connection while nobody else wants it", () => {
    const { opened, pass, tell } = dispatching({ cap: 1 })
    assert.deepStrictEqual(tell(watched), ["Open 1"])
    opened(1)
    assert.deepStrictEqual(pass(defaults.lingerMillis), ["Rest 1 on INBOX"])
  })

  it("does not hammer a server that refuses, and does not keep requests from trying", () => {
    const { ask, opened, pass, tell, wakesIn } = dispatching()
    const failed = (connection: number): Event => ({ _tag: "OpenFailed", connection, failWaiting: true, retryAt: 0 })
    tell(watched)
    assert.deepStrictEqual(tell(failed(1)), [])
    assert.strictEqual(wakesIn(), 5_000)
    assert.deepStrictEqual(pass(5_000), ["Open 2"])
    assert.deepStrictEqual(tell(failed(2)), [])
    assert.strictEqual(wakesIn(), 10_000)
    assert.deepStrictEqual(ask("a"), ["Open 3"])
    assert.deepStrictEqual(tell(failed(3)), ["Fail 1: OpenFailed"])
    assert.strictEqual(wakesIn(), 20_000)
    assert.deepStrictEqual(ask("a"), ["Open 4"])
    assert.deepStrictEqual(opened(4), ["Run 2 on 4"])
  })

  it("that nobody watches any more frees its connection", () => {
    const { done, pass, tell } = withConnections([undefined])
    tell(watched)
    pass(defaults.lingerMillis)
    assert.deepStrictEqual(tell({ _tag: "Unwatched", mailbox: "INBOX" }), ["Run  on 1"])
    done(1, "INBOX")
    assert.deepStrictEqual(pass(defaults.idleTimeToLiveMillis), ["Close 1"])
  })

  it("that was heard of when its connection was already given work changes nothing", () => {
    const { ask, dispatcher, done, pass, tell } = withConnections([undefined])
    tell(watched)
    pass(defaults.lingerMillis)
    ask("a")
    assert.deepStrictEqual(tell({ _tag: "Rested", connection: 1, affinity: "INBOX" }), [])
    assert.strictEqual(dispatcher.connections.busy, 1)
    assert.deepStrictEqual(ask("b"), [])
    assert.deepStrictEqual(done(1), ["Run 3 on 1"])
  })
})

describe("a cooldown", () => {
  it("holds requests, openings and IDLE until its end", () => {
    const { ask, pass, tell, wakesIn } = withConnections([undefined], { cap: 2 })
    tell({ _tag: "Watched", mailbox: "INBOX" }, { _tag: "Cooled", until: 5_000 })
    assert.strictEqual(wakesIn(), 5_000)
    assert.deepStrictEqual(pass(1_000), [])
    assert.deepStrictEqual(ask("a"), [])
    assert.deepStrictEqual(ask("a"), [])
    assert.deepStrictEqual(pass(3_999), [])
    assert.deepStrictEqual(pass(1), ["Run 2 on 1", "Open 2"])
  })

  it("keeps an only connection from other accounts for no longer than work does", () => {
    const { ask, pass, tell, wakesIn } = withConnections(["INBOX"])
    tell({ _tag: "Cooled", until: 30_000 })
    ask("a", "INBOX")
    tell({ _tag: "Pressed", pressed: true })
    assert.strictEqual(wakesIn(), 5_000)
    assert.deepStrictEqual(pass(5_000), ["Close 1"])
  })

  it("is not shortened by a shorter one", () => {
    const { ask, pass, tell, wakesIn } = withConnections([undefined])
    tell({ _tag: "Cooled", until: 5_000 })
    tell({ _tag: "Cooled", until: 1_000 })
    ask("a")
    assert.strictEqual(wakesIn(), 5_000)
    assert.deepStrictEqual(pass(5_000), ["Run 2 on 1"])
  })
})
