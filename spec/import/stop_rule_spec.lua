-- SPDX-License-Identifier: MIT
-- The stop rule: how it is read and judged, and real imports that it ends, against a sandbox that refuses some calls.

local accounting = require "campaign.import.report.accounting"
local campaign = require "campaign"
local command = require "support.command"
local imports = require "support.imports"
local stop_rule = require "campaign.import.run.stop_rule"

local LONGLONG = "longlong.import_customers_async"

describe("import.stop_rule", function()
  it("reads a share, a number of rows, and none", function()
    assert.equal(0.05, stop_rule.read("5%").share)
    assert.equal(0.005, stop_rule.read("0.5%").share)
    assert.equal(0, stop_rule.read("0%").share)
    assert.equal(20, stop_rule.read("20").rows)
    assert.equal(0, stop_rule.read(0).rows)
    assert.same({ text = "none" }, stop_rule.read("none"))
  end)

  it("refuses what is no rule", function()
    for _, bad in ipairs({ "", "%", "5 %", "-5%", "100%", "1.2.3%", "x", "5%%", "1.5", -1, 1.5, 0 / 0, math.huge, true, {} }) do
      local rule, why = stop_rule.read(bad)
      assert.is_nil(rule, tostring(bad))
      assert.matches("must be a share", why)
    end
    assert.has_error(function() campaign.plan{ source = "x", to = LONGLONG, max_reject = "half" } end,
      'import: option `max_reject` must be a share of the rows that were sent ("5%", below 100%), a whole number of rows, or "none"')
  end)

  -- Whether the rule ends a run with these books.
  local function is_over(rule, rejected, accepted, sendable, others)
    local books = accounting.new()
    books:book("rejected", rejected, { cause = "platform" })
    books:book("accepted", accepted)
    if others then
      books:book("rejected", others, { cause = "invalid" })
      books:book("ambiguous", others)
    end
    return stop_rule.check(stop_rule.read(rule), books, sendable) ~= nil
  end

  it("judges a share from a thousand decided rows on", function()
    assert.is_false(is_over("5%", 200, 0, 1000000))
    assert.is_false(is_over("5%", 999, 0, 1000000))
    assert.is_true(is_over("5%", 51, 949, 1000000))
    assert.is_false(is_over("5%", 50, 950, 1000000))
    assert.is_true(is_over("0%", 1, 999, 1000000))
  end)

  it("judges it earlier when the share of the whole list is passed already", function()
    assert.is_true(is_over("5%", 31, 0, 600))
    assert.is_false(is_over("5%", 30, 0, 600))
    assert.is_true(is_over("0%", 1, 0, 600))
  end)

  it("judges a number at once", function()
    assert.is_true(is_over(3, 4, 100000, 1000000))
    assert.is_false(is_over(3, 3, 0, 1000000))
    assert.is_true(is_over(0, 1, 0, 1))
  end)

  it("counts neither what was never sent nor what is in doubt, and none is no rule", function()
    assert.is_false(is_over("5%", 0, 2000, 10000, 5000))
    assert.is_false(is_over(3, 3, 0, 10000, 5000))
    assert.is_false(is_over("none", 10000, 0, 10000))
  end)
end)

describe("import with a stop rule", function()
  setup(function() imports.start() end)
  teardown(function() imports.stop() end)

  -- 3,000 rows in calls of 100, of which the fifth to the tenth are refused.
  local function run(more)
    imports.reset({ "import_customers_async:code=400@5-10" })
    local options = { rows_per_call = 100, concurrency = 1, bisect = 0 }
    for key, value in pairs(more) do
      options[key] = value
    end
    local result = assert(imports.import(LONGLONG, imports.people(3000), options))
    imports.assert_balanced(result)
    return result
  end

  it("ends when the share is passed; the rest is not sent and listed, and what was taken stays taken", function()
    local result = run{ max_reject = "5%" }
    assert.equal("stopped", result.state)
    assert.same({ "platform", "max_reject" }, { result.error.kind, result.error.reason })
    assert.equal(5, result.exit_code)
    assert.same({ 400, 200, 2400 }, { result.taken_over, result.rejected, result.pending })
    assert.equal(400, #imports.commits())
    assert.equal("200 of 600 rows were refused by the platform (33.3 %), more than max_reject = 5% allows: the rest is not sent",
      result.error.message)
  end)

  it("ends by a number too, and not at all below it", function()
    assert.equal(300, run{ max_reject = 250 }.rejected)
    local result = run{ max_reject = "600" }
    assert.same({ "finished", 600, 2400, 7 }, { result.state, result.rejected, result.taken_over, result.exit_code })
  end)

  it("waits for what is in flight", function()
    local result = run{ max_reject = 0, concurrency = 4 }
    assert.equal("stopped", result.state)
    assert.equal(0, result.ambiguous)
    assert.equal(result.taken_over, #imports.commits())
  end)

  it("ends nothing when the last rows of the list pass it", function()
    imports.reset({ "import_customers_async:code=400@30" })
    local result = assert(imports.import(LONGLONG, imports.people(3000),
      { rows_per_call = 100, concurrency = 1, bisect = 0, max_reject = "0%" }))
    assert.same({ "finished", 100, 7 }, { result.state, result.rejected, result.exit_code })
  end)

  it("belongs to the job: resume keeps it, and takes another one", function()
    local result = run{ max_reject = "5%" }
    local account = imports.accounts.longlong
    local again = assert(assert(campaign.open_job(result.job, { account = account })):resume())
    assert.same({ "stopped", "max_reject", 0, 2400 }, { again.state, again.error.reason, again.requests, again.pending })
    imports.assert_balanced(again)
    local last = assert(assert(campaign.open_job(result.job, { account = account })):resume{ max_reject = "none" })
    assert.equal("finished", last.state)
    imports.assert_balanced(last)
    assert.same({ 0, 3000 }, { last.pending, last.taken_over + last.rejected })
    assert.equal(last.taken_over, #imports.commits())
  end)

  it("is checked by the command before anything is opened", function()
    local ran = command.campaign{ "import", "no-such-file.csv", "--to", LONGLONG, "--max-reject", "lots" }
    assert.equal(2, ran.code)
    assert.matches("--max-reject 'lots' must be a share of the rows", ran.err, 1, true)
  end)
end)
