-- SPDX-License-Identifier: MIT
-- The short way of usual batches beside the plain way, which is its oracle: the same list against the same sandbox with the same faults comes to
-- the same outcome, row by row and batch by batch, and the platform gets the same requests.

local counted_transport = require "support.counted_transport"
local imports = require "support.imports"

local LONGLONG = "longlong.import_customers_async"
local TUZHAN = "tuzhan.batch_add_group_relations"
local LIST = "outbound.upload_contacts_json"

-- What both ways must agree in.
local function facts_of(result, operation)
  local batches, rows = imports.facts(operation, result:each_batch())
  return {
    batches = batches, rows = rows, state = result.state, code = result.exit_code, error = result.error and result.error.kind,
    counts = { result.rows, result.accepted, result.accepted_pending, result.rejected, result.ambiguous, result.pending, result.taken_over },
    requests = result.requests, retries = result.retries, bytes = result.bytes, calls = result.batches,
  }
end

describe("the fast path of a batch", function()
  setup(function() imports.start() end)
  teardown(imports.stop)

  local function run(to, text, has_lane, faults, more)
    imports.reset(faults, 7)
    local transport = counted_transport.new(has_lane)
    local options = { transport = transport, concurrency = 1 } -- one after another: which call meets a fault is then certain
    for name, value in pairs(more or {}) do
      options[name] = value
    end
    local result = assert(imports.import(to, text, options))
    transport:close()
    imports.assert_balanced(result)
    return facts_of(result, to:match("%.(.*)$")), transport.counts
  end

  it("is taken by all but the first batch in flight, and comes to what the plain way comes to", function()
    local text = imports.people(1203)
    local plain, plain_counts = run(LONGLONG, text, false)
    local short, counts = run(LONGLONG, text, true)
    assert.same(plain, short)
    assert.same({ plain = 7, short = 0, looked = 0 }, plain_counts)
    assert.same({ plain = 1, short = 6, looked = 0 }, counts)
    assert.equal(1203, short.counts[3])
  end)

  it("is taken with many in flight, each row once", function()
    local short, counts = run(LONGLONG, imports.people(4003), true, nil, { concurrency = 8, rows_per_call = 50 })
    assert.equal(4003, short.counts[3])
    assert.equal(4003, #short.rows)
    assert.is_true(counts.short > 60, counts.short)
    assert.equal(81, counts.short + counts.plain)
  end)

  it("judges answers that count rows by the rows of each batch", function()
    local text = imports.people(1203)
    local options = { rows_per_call = 100 }
    local plain = run(TUZHAN, text, false, nil, options)
    local short, counts = run(TUZHAN, text, true, nil, options)
    assert.same(plain, short)
    -- The first goes the plain way, and so does the last, which has three rows: its answer tells other counts, and is read as a whole.
    assert.equal(11, counts.short)
    assert.equal(1203, short.counts[2])
  end)

  it("does not take what is refused, in doubt, or to be sent again", function()
    local text = imports.people(1203)
    for _, kind in ipairs({ "500", "400", "401", "429-retry-after=1", "code=500", "code=400", "close-before-read", "close-after-read",
      "after-commit-close", "after-commit-reset", "after-commit-500", "truncate-body", "wrong-length", "bad-json", "wrong-type" }) do
      for _, to in ipairs({ LONGLONG, TUZHAN }) do
        local faults = { to:match("%.(.*)$") .. ":" .. kind .. "@3" }
        local options = { rows_per_call = 200 }
        local plain = run(to, text, false, faults, options)
        local short, counts = run(to, text, true, faults, options)
        assert.same(plain, short, to .. " " .. kind)
        assert.is_true(counts.short >= 2, to .. " " .. kind .. ": " .. counts.short)
      end
    end
  end)

  it("looks at the platform's clock in every 256th answer", function()
    local _, counts = run(LONGLONG, imports.people(300), true, nil, { rows_per_call = 1 })
    assert.equal(1, counts.looked)
    assert.equal(299, counts.short)
  end)

  it("leaves alone what has hours, looks at the platform first, or replaces", function()
    local _, counts = run(LIST, imports.people(450), true)
    assert.equal(0, counts.short)
  end)

  it("sees a list that is changed on the way", function()
    local found = {}
    for i, has_lane in ipairs({ false, true }) do
      imports.reset()
      local options
      local transport = counted_transport.new(has_lane, function(counts)
        if counts.plain + counts.short == 3 then
          local file = assert(io.open(options.source, "r+b"))
          local at = file:read("*a"):find("13800012000", 1, true)
          file:seek("set", at - 1)
          file:write("13900012000")
          file:close()
        end
      end)
      options = imports.options(LONGLONG, imports.people(12000), { transport = transport, concurrency = 1 })
      local result = assert(require("campaign").import(options))
      transport:close()
      imports.assert_balanced(result)
      -- Bytes are compared with the plan, batch by batch: all but the last, which holds the change, leave.
      local left = transport.counts.plain + transport.counts.short
      assert.equal(59, left)
      assert.same({ 200 * left, 12000 - 200 * left }, { result.accepted_pending, result.pending })
      found[i] = { result.state, result.exit_code, tostring(result.error):match("^(.-): batch %d") }
    end
    assert.same(found[1], found[2])
    assert.truthy(found[1][3]:find("changed", 1, true), found[1][3])
  end)
end)
