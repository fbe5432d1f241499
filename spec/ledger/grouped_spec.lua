-- SPDX-License-Identifier: MIT
-- Counting by groups: range after range, put together as if it were one, in memory that does not grow with the ledger.

local command = require "support.command"
local grouped = require "campaign.ledger.grouped"
local schema = require "campaign.ledger.schema"

local RANGE = grouped.RANGE

-- Answers for ranges of keys, in turn; also returns the ranges that were asked for.
local function ledger_of(highest, answers)
  local asked = {}
  return function(name, after, last, ...)
    if name:find("^highest_") then
      return { { highest } }
    end
    asked[#asked + 1] = { after, last, ... }
    return answers[#asked] or {}
  end, asked
end

describe("groups of a ledger", function()
  it("are asked for range by range, up to the highest key", function()
    local query, asked = ledger_of(2 * RANGE, {})
    assert.same({}, grouped.ask(query, "course", "me", 5, 60))
    assert.same({ { 0, RANGE, "me", 5, 60 }, { RANGE, 2 * RANGE, "me", 5, 60 } }, asked)
    query, asked = ledger_of(2 * RANGE + 1, {})
    grouped.ask(query, "progress")
    assert.same({ { 0, RANGE }, { RANGE, 2 * RANGE }, { 2 * RANGE, 3 * RANGE } }, asked)
    query, asked = ledger_of(0, {})
    assert.same({}, grouped.ask(query, "progress"))
    assert.same({}, asked)
  end)

  it("are added up over the ranges, the most frequent first, a missing value before others", function()
    local function reason(code, count, column)
      return { state = "rejected", cause = "invalid", column = column, reason = "check", code = code, count = count }
    end
    local query = ledger_of(3 * RANGE, {
      { reason("b", 2, "phone"), reason(nil, 1, "phone"), reason("a", 2, "phone") },
      { reason("a", 1, "phone"), reason(nil, 2, "phone") },
      { reason("b", 1), reason("b", 1, "phone") },
    })
    assert.same({ reason(nil, 3, "phone"), reason("a", 3, "phone"), reason("b", 3, "phone"), reason("b", 1) }, grouped.ask(query, "reasons"))
  end)

  it("keep the first beginning and the last end, and are told in the order of their beginnings", function()
    local function run(owner, began, ended, calls)
      return { owner = owner, began = began, ended = ended, calls = calls, repeats = 1, throttled = 2, unclear = 3, rows = 4, bytes = 5 }
    end
    local query = ledger_of(2 * RANGE, { { run("b", 20, 25, 1), run("a", 10, 30, 10) }, { run("b", 5, 22, 100), run("a", 12, 31, 1000) } })
    local runs = grouped.ask(query, "runs")
    assert.same({ "b", 5, 25, 101, "a", 10, 31, 1010 }, { runs[1].owner, runs[1].began, runs[1].ended, runs[1].calls,
      runs[2].owner, runs[2].began, runs[2].ended, runs[2].calls })
    assert.same({ 2, 4, 6, 8, 10 }, { runs[1].repeats, runs[1].throttled, runs[1].unclear, runs[1].rows, runs[1].bytes })
  end)

  it("stay within the limit of the question", function()
    local records = {}
    for i = 1, 300 do
      records[i] = { state = "rejected", reason = "r" .. i, count = i }
    end
    local found = grouped.ask(ledger_of(1, { records }), "refused")
    assert.same({ 200, "r300", "r101" }, { #found, found[1].reason, found[200].reason })
  end)

  it("pass an error on", function()
    local function query(name)
      if name:find("^highest_") then
        return { { 1 } }
      end
      return nil, "broken"
    end
    local found, err = grouped.ask(query, "taken")
    assert.is_nil(found)
    assert.equal("broken", err)
    found, err = grouped.ask(function() return nil, "broken" end, "taken")
    assert.is_nil(found)
    assert.equal("broken", err)
  end)

  it("have a column for each name", function()
    for what, shape in pairs(schema.GROUPED) do
      assert.is_true(#schema.NAMES[what] > shape.keys, what)
      assert.matches("?1.*?2.*GROUP BY", schema.STATEMENTS[what])
    end
  end)

  it("take no more memory for 200,000 rows and batches than for 20,000", function()
    local folder = command.folder()
    finally(function() command.remove(folder) end)
    command.write(folder .. "/fill.lua", ([[
      package.path, package.cpath = %q, %q
      local ledger = assert(require("campaign.ledger").open(%q, { create = true }))
      local function peak()
        return tonumber(io.open("/proc/self/status"):read("*a"):match("VmHWM:%%s+(%%d+)"))
      end
      local function fill(from, to)
        for first = from, to, 500 do
          local batches, refused = {}, {}
          for i = first, first + 499 do
            batches[#batches + 1] = { index = i, offset = i * 10, bytes = 10, first_row = i, first_line = i, rows = 1, accepted = 1, body_bytes = 10 }
            refused[#refused + 1] = ('[%%d,"invalid","手机号","a check that was not met","mobile_cn"]'):format(i)
          end
          assert(ledger:enqueue(batches))
          assert(ledger:record_refused("[" .. table.concat(refused, ",") .. "]", #refused))
          assert(ledger:commit())
        end
        local progress = assert(ledger:progress())
        assert(progress.batches.P == to and progress.rows.rejected == to and progress.rows.pending == to)
        for _, what in ipairs{ "taken", "runs", "refused", "reasons" } do
          local found = assert(ledger:ask(what))
          assert(#found == (what == "refused" and 1 or what == "reasons" and 1 or 0) and (not found[1] or found[1].count == to))
        end
        collectgarbage()
      end
      fill(1, 20000)
      local before = peak()
      fill(20001, 200000)
      print(peak() - before)
      ledger:close()
    ]]):format(package.path, package.cpath, folder .. "/ledger.db"))
    local result = command.run({ command.LUA == "luajit" and "luajit" or "lua5.4", folder .. "/fill.lua" })
    assert.equal(0, result.code, result.err)
    assert.is_true(tonumber(result.out) < 6000, result.out .. " KB more")
  end)
end)
