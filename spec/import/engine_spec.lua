-- SPDX-License-Identifier: MIT
-- The engine on a scripted transport and a clock that moves only when somebody waits: what is sent, what is sent again, when a run
-- stops, and that every row ends in exactly one state whatever the answers are.

local engine = require "campaign.import.run.engine"
local error_object = require "campaign.error"
local pace = require "campaign.import.run.pace"
local platforms = require "campaign.api.platform"

-- What a scripted answer stands for: the result of the transport, then reply or error of the parser.
local ANSWERS = {
  ok = { { sent = "yes", status = 200, bytes_sent = 10, bytes_expected = 10 },
    { code = 200, status = "success", data = { unique_id = "u" } } },
  refused = { { sent = "no", bytes_sent = 0, bytes_expected = 10 }, nil, "network" },
  lost = { { sent = "maybe", bytes_sent = 10, bytes_expected = 10 }, nil, "network" },
  cut = { { sent = "maybe", bytes_sent = 4, bytes_expected = 10 }, nil, "network" },
  guard = { { sent = "maybe", guard = true, bytes_sent = 0, bytes_expected = 10 }, nil, "network" },
  busy = { { sent = "yes", status = 429, bytes_sent = 10, bytes_expected = 10 }, nil, "throttle" },
  error500 = { { sent = "yes", status = 500, bytes_sent = 10, bytes_expected = 10 }, nil, "http" },
  bad400 = { { sent = "yes", status = 400, bytes_sent = 10, bytes_expected = 10 }, nil, "http" },
  denied = { { sent = "yes", status = 401, bytes_sent = 10, bytes_expected = 10 }, nil, "auth" },
  junk = { { sent = "yes", status = 200, bytes_sent = 10, bytes_expected = 10 }, nil, "response" },
}

-- One run. `script(batch, attempt)` names the answer; `options` change the set-up.
local function run(count, script, options)
  options = options or {}
  local platform = assert(platforms.load("longlong"))
  local state = {
    now = 0, slept = 0, sent = {}, most = 0, states = {}, journal = {}, intents = {}, begun = 0, stopped = nil, cancelled = 0,
    commits = 0,
  }
  local flying, next_id, made = {}, 0, 0
  local in_flight, held = 0, 0
  local env = {
    monotonic = function()
      return state.now
    end,
    sleep = function(seconds)
      state.now, state.slept = state.now + seconds, state.slept + seconds
    end,
  }
  local transport = {}
  function transport.submit(_, request)
    next_id = next_id + 1
    flying[#flying + 1] = { id = next_id, answer = request.answer }
    in_flight = in_flight + 1
    state.most = math.max(state.most, in_flight)
    state.sent[#state.sent + 1] = request.batch
    return next_id
  end
  function transport.next(_, seconds)
    assert(seconds > 0 and seconds <= 1)
    state.now = state.now + 0.01
    -- Answers come late, so that many requests are in flight; but they do come.
    if options.hold and #flying < options.hold and held < 5 then
      held = held + 1
      return nil
    end
    held = 0
    local flight = table.remove(flying, options.last_first and #flying or 1)
    if not flight then
      return nil
    end
    in_flight = in_flight - 1
    return flight.id, flight.answer
  end
  function transport.cancel(_, id)
    state.cancelled = state.cancelled + 1
    for _, flight in ipairs(flying) do
      if flight.id == id then
        flight.answer = { { sent = "maybe", bytes_sent = 10, bytes_expected = 10 }, nil, "cancelled" }
      end
    end
  end
  local function put(index, what)
    assert(not state.states[index], "a batch in two states")
    state.states[index] = what
  end
  local random = options.random or function(n)
    return ("\128"):rep(n)
  end
  local work = {
    platform = platform, operation = platform.operations.import_customers_async, env = env, transport = transport,
    pace = pace.new{ limit = options.limit or 4, monotonic = env.monotonic, random = random },
    journal = {
      begin = function(_, attempt)
        state.begun = state.begun + 1
        assert(attempt.number >= 1)
        state.intents[#state.intents + 1] = attempt
        return true
      end,
      dirty = function()
        return #state.intents > 0
      end,
      settled = function()
        return true
      end,
      hold = function()
        return options.gathers and options.gathers(state)
      end,
      commit = function()
        return true
      end,
      start = function()
        state.commits = state.commits + 1
        if options.disk_full_at and state.begun >= options.disk_full_at then
          return nil, error_object.new{ kind = "ledger", message = "no space left" }
        end
        for _, attempt in ipairs(state.intents) do
          attempt.durable = true
        end
        state.intents = {}
        return true
      end,
      go = function(_, attempt)
        assert(attempt.durable, "asked before the commit")
        return true
      end,
      finish = function(_, attempt, outcome)
        state.journal[#state.journal + 1] = attempt.batch.index .. ":" .. attempt.number .. ":" .. outcome.verdict
        return true
      end,
    },
    next_batches = function(into, last)
      if made < count then
        made, last = made + 1, last + 1
        into[last] = { index = made, accepted = 10 }
      end
      return last
    end,
    prepare = function(batch)
      local name = script(batch.index, batch.attempts, state)
      if name == "unprepared" then
        return nil, error_object.new{ kind = "auth", message = "no token" }
      elseif name == "closed" then
        return nil, error_object.new{ kind = "window", reason = "closed", message = "closed" }
      end
      return { batch = batch.index, answer = ANSWERS[name] }
    end,
    finish = function(_, answer)
      if answer[3] then
        return nil, error_object.new{ kind = answer[3], message = answer[3] }
      end
      return answer[2]
    end,
    settle = function(attempt, verdict)
      put(attempt.batch.index, verdict.verdict)
      return verdict
    end,
    unsent = function(batch)
      put(batch.index, "pending")
      return true
    end,
    window = options.window and function()
      return options.window(state)
    end or function()
      return 0
    end,
    stopped = function()
      return state.stopped
    end,
    progress = function() end,
    ordered = options.ordered or false, attempts = options.attempts or 5, wait_for_window = not options.refuses,
    refuse_window = function()
      return error_object.new{ kind = "window", message = "closed" }
    end,
  }
  -- What the transport hands out is the scripted answer; the engine reads the result in its first place.
  local finish = work.finish
  local answers = setmetatable({}, { __mode = "k" })
  local raw_next = transport.next
  function transport:next(seconds)
    local id, answer = raw_next(self, seconds)
    if not id then
      return nil
    end
    local result = {}
    for key, value in pairs(answer[1]) do
      result[key] = value
    end
    answers[result] = answer
    return id, result
  end
  work.finish = function(prepared, result)
    return finish(prepared, answers[result])
  end
  state.engine = engine.new(work)
  state.error = state.engine:run()
  return state
end

local function count_states(state)
  local counts, all = {}, 0
  for _, what in pairs(state.states) do
    counts[what] = (counts[what] or 0) + 1
    all = all + 1
  end
  return counts, all
end

local function always(name)
  return function()
    return name
  end
end

describe("import.engine", function()
  it("sends every batch once, as many in flight as the pace allows", function()
    local state = run(20, always("ok"), { hold = 4 })
    assert.is_nil(state.error)
    assert.equal(20, #state.sent)
    assert.equal(4, state.most)
    assert.same({ accepted = 20 }, (count_states(state)))
    assert.equal(20, state.engine.requests)
    assert.equal(200, state.engine.bytes)
  end)

  it("has answers that are under way share a commit where the journal says that it pays, and waits no longer than it says", function()
    local alone = run(40, always("ok"))
    local asked = {}
    local together = run(40, always("ok"), { gathers = function(state)
      assert.is_true(state.engine.in_flight > 0, "there is nothing to wait for")
      asked[#asked + 1] = state.now
      return 0.5
    end })
    assert.same({ accepted = 40 }, (count_states(together)))
    assert.is_true(together.commits <= 11, together.commits .. " commits for 40 batches, 4 at a time")
    assert.is_true(alone.commits > together.commits)
    assert.is_true(#asked > 0)
    local left = 0.03 -- seconds, of which each look takes a hundredth
    local brief = run(40, always("ok"), { gathers = function()
      left = left - 0.01
      return left > 0 and left or nil
    end })
    assert.same({ accepted = 40 }, (count_states(brief)))
    assert.is_true(brief.commits > together.commits)
  end)

  it("sends a batch again, after a pause, when nothing of it was applied", function()
    for _, fault in ipairs({ "refused", "cut", "busy" }) do
      local state = run(6, function(batch, attempt)
        return batch == 3 and attempt < 3 and fault or "ok"
      end)
      assert.is_nil(state.error)
      assert.same({ accepted = 6 }, (count_states(state)))
      assert.equal(8, #state.sent)
      assert.equal(2, state.engine.retries)
      assert.is_true(state.now > 0.2, fault)
    end
  end)

  it("P3 never sends a batch again whose outcome is unknown", function()
    for _, fault in ipairs({ "lost", "guard", "error500", "junk" }) do
      local state = run(6, function(batch)
        return batch == 3 and fault or "ok"
      end)
      assert.is_nil(state.error)
      assert.same({ accepted = 5, ambiguous = 1 }, (count_states(state)))
      assert.equal(6, #state.sent)
    end
  end)

  it("goes on after a batch that was refused", function()
    local state = run(6, function(batch)
      return batch == 3 and "bad400" or "ok"
    end)
    assert.is_nil(state.error)
    assert.same({ accepted = 5, rejected = 1 }, (count_states(state)))
  end)

  it("stops at wrong credentials and keeps the other rows pending", function()
    local state = run(50, always("denied"))
    assert.equal("auth", state.error.kind)
    assert.same({ pending = 50 }, (count_states(state)))
    assert.is_true(#state.sent <= 4)
  end)

  it("stops when a request cannot even be made", function()
    local state = run(50, always("unprepared"))
    assert.equal("auth", state.error.kind)
    assert.equal(0, #state.sent)
    assert.same({ pending = 50 }, (count_states(state)))
  end)

  it("gives up on a dead server after the attempts it was given", function()
    local state = run(50, always("refused"), { attempts = 3 })
    assert.equal("network", state.error.kind)
    assert.same({ pending = 50 }, (count_states(state)))
    assert.is_true(#state.sent <= 4 * 3)
    assert.is_true(state.now < 30)
  end)

  it("counts requests that fail together as one failure when it backs off", function()
    local state = run(64, always("refused"), { attempts = 2, limit = 16, hold = 16, random = function(n)
      return ("\255"):rep(n)
    end })
    assert.same({ pending = 64 }, (count_states(state)))
    assert.is_true(state.now < 3, "waited " .. state.now)
  end)

  it("P6 sends one batch at a time after doubt, and stops after three unclear answers in a row", function()
    local state = run(50, always("error500"))
    assert.equal("http", state.error.kind)
    local counts = count_states(state)
    assert.is_true(counts.ambiguous <= 4 + 3)
    assert.equal(50, counts.ambiguous + counts.pending)
    assert.matches("not_sent.csv", state.error.hint, 1, true)
  end)

  it("goes back to full speed after a clear answer", function()
    local state = run(40, function(batch)
      return batch == 5 and "error500" or "ok"
    end, { hold = 4 })
    assert.is_nil(state.error)
    assert.same({ accepted = 39, ambiguous = 1 }, (count_states(state)))
  end)

  it("R072 client keeps order with one in flight and stops at the first batch that was not taken over", function()
    for fault, word in pairs({ bad400 = "rejected", lost = "ambiguous" }) do
      local state = run(10, function(batch)
        return batch == 4 and fault or "ok"
      end, { ordered = true, limit = 1 })
      assert.truthy(state.error)
      assert.same({ 1, 2, 3, 4 }, state.sent)
      local counts = count_states(state)
      assert.equal(3, counts.accepted)
      assert.equal(1, counts[word])
      assert.equal(6, counts.pending)
    end
  end)

  it("keeps order when a batch is sent again", function()
    local state = run(5, function(batch, attempt)
      return batch == 2 and attempt == 1 and "refused" or "ok"
    end, { ordered = true, limit = 1 })
    assert.same({ 1, 2, 2, 3, 4, 5 }, state.sent)
  end)

  it("waits while the platform is closed, and not for a run that has nothing to send", function()
    local function closed(state)
      return math.max(0, 100 - state.now)
    end
    local state = run(3, always("ok"), { window = closed })
    assert.is_true(state.slept >= 99)
    assert.same({ accepted = 3 }, (count_states(state)))
    assert.equal(0, run(0, always("ok"), { window = closed }).slept)
  end)

  it("waits when the platform closes, or the clock is set, between the look at it and the request", function()
    local looks = 0
    local state = run(3, function(batch)
      if batch == 2 and looks < 3 then
        looks = looks + 1
        return "closed"
      end
      return "ok"
    end)
    assert.is_nil(state.error)
    assert.same({ accepted = 3 }, (count_states(state)))
    assert.equal(3, #state.sent)
    assert.equal(0, state.engine.retries)
    assert.is_true(state.now >= 3, "a second for each look")
    looks = -1000
    state = run(3, function(batch)
      looks = looks + 1
      return batch == 2 and "closed" or "ok"
    end)
    assert.equal("window", state.error.kind)
    assert.is_true(looks < -900, "it does not look for ever")
  end)

  it("ends a run that must not wait when the platform closes, and sends nothing of what is left", function()
    local state = run(6, always("ok"), { refuses = true, limit = 1, window = function(state)
      return #state.sent >= 2 and 100 or 0
    end })
    assert.equal("window", state.error.kind)
    assert.same({ accepted = 2, pending = 4 }, (count_states(state)))
    assert.is_true(state.now < 50)
  end)

  it("repeats no more than a hundred times in an outage, however many attempts each batch has", function()
    local state = run(500, always("refused"), { attempts = 100, limit = 64, hold = 64 })
    assert.equal("network", state.error.kind)
    assert.same({ pending = 500 }, (count_states(state)))
    assert.is_true(#state.sent <= 64 + 100, "sent " .. #state.sent)
  end)

  it("finishes what is in flight when it is stopped", function()
    local state = run(50, function(batch, _, state)
      if batch == 7 then
        state.stopped = "stop"
      end
      return "ok"
    end)
    assert.equal("cancelled", state.error.kind)
    local counts = count_states(state)
    assert.equal(#state.sent, counts.accepted)
    assert.equal(50, counts.accepted + counts.pending)
    assert.equal(0, state.cancelled)
  end)

  it("abandons what is in flight when it is stopped now, as ambiguous", function()
    local state = run(50, function(batch, _, state)
      if batch == 8 then
        state.stopped = "now"
      end
      return "ok"
    end, { hold = 4 })
    local counts = count_states(state)
    assert.equal("cancelled", state.error.kind)
    assert.is_true(counts.ambiguous >= 1)
    assert.equal(50, (counts.accepted or 0) + counts.ambiguous + counts.pending)
  end)

  it("P2 sends nothing of a batch whose beginning cannot be written down", function()
    local state = run(10, always("ok"), { disk_full_at = 3, limit = 1 })
    assert.equal("ledger", state.error.kind)
    assert.same({ 1, 2 }, state.sent)
    assert.same({ accepted = 2, pending = 8 }, (count_states(state)))
  end)

  it("P1 leaves every batch in exactly one state, whatever the answers", function()
    local seed = tonumber(os.getenv("CAMPAIGN_SEED")) or os.time()
    local names = { "ok", "ok", "ok", "ok", "refused", "lost", "cut", "guard", "busy", "error500", "bad400", "denied", "junk" }
    for round = 1, 200 do
      local random = (seed + round * 7919) % 2147483647
      local function draw(n)
        random = random * 16807 % 2147483647
        return random % n + 1
      end
      local applied = {}
      local size = draw(40)
      local few = draw(3) == 1 -- mostly well, or all of it
      local state = run(size, function(batch)
        local name = few and draw(10) > 1 and "ok" or names[draw(#names)]
        if name == "ok" or name == "lost" or name == "error500" or name == "guard" or name == "junk" then
          applied[batch] = (applied[batch] or 0) + 1 -- the platform may have taken it
        end
        return name
      end, { ordered = draw(4) == 1, limit = draw(8), last_first = draw(2) == 1, random = function(n)
        return string.char(draw(255)):rep(n)
      end })
      local label = "seed " .. seed .. ", round " .. round
      local _, all = count_states(state)
      assert.equal(size, all, label)
      for batch, times in pairs(applied) do
        assert.equal(1, times, label .. ": batch " .. batch .. " may have been applied more than once")
        assert.is_true(state.states[batch] == "accepted" or state.states[batch] == "ambiguous", label)
      end
    end
  end)
end)
