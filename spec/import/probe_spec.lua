-- SPDX-License-Identifier: MIT
-- What two looks at a platform prove, as a table: nothing is called proved that another course of events could have left behind.

local platforms = require "campaign.api.platform"
local probe = require "campaign.import.run.probe"

local TOTAL = { kind = "total", match = { name = "target" }, count = "total", marks = { "utime" } }
local ENTRY = { kind = "entry", match = { name = "target", kind = "sort" }, id = "id" }

local function total(count, mark)
  return { total = count, marks = { mark } }
end

local function ids(...)
  return { ids = { ... } }
end

-- name, before, now, finding; rows = 10 unless a further value says so
local TABLE = {
  { "all rows came", total(5, "a"), total(15, "b"), "applied" },
  { "all rows came to an empty target", total(0, "a"), total(10, "b"), "applied" },
  { "nothing changed", total(5, "a"), total(5, "a"), "unchanged" },
  { "some rows came", total(5, "a"), total(9, "b"), "partial" },
  { "the target was touched and counts as before", total(5, "a"), total(5, "b"), "partial" },
  { "more rows came than were sent", total(5, "a"), total(16, "b"), "unclear" },
  { "rows went away", total(5, "a"), total(4, "b"), "unclear" },
  { "all rows came and no mark moved", total(5, "a"), total(15, "a"), "unclear" },
  { "rows went away and no mark moved", total(5, "a"), total(3, "a"), "unclear" },
  { "somebody else writes", { total = 5, marks = { "a" }, disturbed = true }, total(15, "b"), "unclear" },
  { "somebody else writes and nothing changed", { total = 5, marks = { "a" }, disturbed = true }, total(5, "a"), "unclear" },
  { "a list that was replaced", total(5, "a"), total(10, "b"), "applied", true },
  { "a list that was replaced by as many", total(10, "a"), total(10, "b"), "unclear", true },
  { "a list to replace that grew", total(5, "a"), total(15, "b"), "unclear", true },
  { "a list to replace that stayed", total(5, "a"), total(5, "a"), "unchanged", true },
  { "without marks: all rows came", { total = 5, marks = {} }, { total = 15, marks = {} }, "applied" },
  { "without marks: nothing changed", { total = 5, marks = {} }, { total = 5, marks = {} }, "unchanged" },
  { "marks that are there only once", total(5, "a"), { total = 15, marks = {} }, "applied" },
  { "one new entry", ids("1"), ids("1", "2"), "applied" },
  { "one new entry of none", ids(), ids("7"), "applied" },
  { "an entry that was there", ids("1"), ids("1"), "unchanged" },
  { "two new entries", ids("1"), ids("1", "2", "3"), "unclear" },
  { "an entry that went and one that came", ids("1"), ids("2"), "applied" },
  { "looks of two kinds", total(5, "a"), ids("1"), "unclear" },
  { "looks of two kinds the other way round", ids("1"), total(5, "a"), "unclear" },
}

describe("import.probe", function()
  for _, case in ipairs(TABLE) do
    it(case[1] .. ": " .. case[4], function()
      local finding, said = probe.judge(case[2], case[3], { rows = 10, is_destructive = case[5] or false })
      assert.equal(case[4], finding)
      assert.is_string(said)
      -- What went through the ledger says the same.
      local before, now = probe.restore(probe.write(case[2])), probe.restore(probe.write(case[3]))
      assert.equal(case[4], (probe.judge(before, now, { rows = 10, is_destructive = case[5] or false })))
    end)
  end

  it("gives the platform's number of the entry that came", function()
    local _, _, receipt = probe.judge(ids("1", "3"), ids("1", "2", "3"), { rows = 1 })
    assert.equal("2", receipt)
  end)

  it("is not misled by the order of events: any rows of others between the looks are no proof, unless exactly ours are missing", function()
    for rows = 1, 20 do
      for others = -5, 40 do
        for _, ours in ipairs({ 0, rows }) do
          local after = 50 + others + ours
          local finding = probe.judge(total(50, "a"), total(after, others == 0 and ours == 0 and "a" or "b"), { rows = rows })
          if finding == "applied" then
            assert.is_true(ours == rows and others == 0 or ours == 0 and others == rows)
          elseif finding == "unchanged" then
            assert.same({ 0, 0 }, { ours, others })
          end
        end
      end
    end
  end)

  it("reads the one entry that is meant", function()
    local fields = { target = "autumn" }
    local entries = { { name = "spring", total = 9, utime = 1 }, { name = "autumn", total = 7, utime = 1762740000123 } }
    assert.same({ total = 7, marks = { "1762740000123" } }, probe.read(TOTAL, entries, fields))
    assert.is_nil((probe.read(TOTAL, { entries[1] }, fields)))
    assert.is_nil((probe.read(TOTAL, { entries[2], entries[2] }, fields)))
    for _, wrong in ipairs({ "7", -1, 1.5, 1e300, true, {} }) do
      assert.is_nil((probe.read(TOTAL, { { name = "autumn", total = wrong, utime = 1 } }, fields)))
    end
    assert.is_nil((probe.read(TOTAL, { 7, "x", false }, fields)))
    assert.same({ total = 7, marks = { "" } }, probe.read(TOTAL, { { name = "autumn", total = 7 } }, fields))
  end)

  it("counts the data source of the kind that an operation of outbound fills, not the other one of the same name", function()
    local operations = assert(platforms.load("outbound")).operations
    local fields = { dataSourceName = "spring" }
    local contacts = { dataSourceName = "spring", type = 0, total = 5, utime = 1 }
    local dnc = { dataSourceName = "spring", type = 1, total = 9, utime = 2 }
    for name, own in pairs{ upload_contacts_file = contacts, upload_contacts_json = contacts, upload_dnc_file = dnc, upload_dnc_json = dnc } do
      local other = own == dnc and contacts or dnc
      for _, entries in ipairs({ { contacts, dnc }, { dnc, contacts } }) do
        assert.equal(own.total, assert(probe.read(operations[name].probe, entries, fields), name).total)
      end
      assert.is_nil((probe.read(operations[name].probe, { other }, fields)))
      assert.equal(3, probe.read(operations[name].probe, { { dataSourceName = "spring", total = 3 } }, fields).total) -- of no said kind
    end
  end)

  it("reads the numbers of all entries that are meant, as texts", function()
    local fields = { target = "visit", sort = 2 }
    local entries = { { name = "visit", kind = 2, id = 12 }, { name = "visit", kind = 1, id = 13 }, { name = "visit", kind = "2", id = "11" } }
    local seen = probe.read(ENTRY, entries, fields)
    assert.same({ "11", "12" }, { seen.ids[1], seen.ids[2] })
    assert.equal(2, #seen.ids)
    assert.is_nil((probe.read(ENTRY, { { name = "visit", kind = 2 } }, fields)))
    assert.is_nil((probe.read(ENTRY, entries, {}).ids[1])) -- what we do not know matches nothing
    local many = {}
    for i = 1, 1001 do
      many[i] = { name = "visit", kind = 2, id = i }
    end
    assert.is_nil((probe.read(ENTRY, many, fields)))
  end)

  it("counts only entries with the digest of what was sent, where the platform gives one", function()
    local data = { kind = "entry", match = { name = "target" }, id = "id", sha256 = "file.signature" }
    local entries = { { name = "a", id = 1, file = { signature = "AB12" } }, { name = "a", id = 2, file = { signature = "cd34" } },
      { name = "a", id = 3 } }
    local seen = probe.read(data, entries, { target = "a" }, function() return "ab12" end)
    assert.equal("1", table.concat(seen.ids, ","))
    assert.equal(0, #probe.read(data, entries, { target = "a" }, function() end).ids)
  end)

  it("takes nothing from the ledger that it did not write", function()
    for _, text in ipairs({ "", "{}", "x", '{"total":5}', '{"total":"5","marks":[]}', '{"ids":"1"}', "[]", "null" }) do
      assert.is_nil(probe.restore(text))
    end
    assert.is_nil(probe.restore(nil))
  end)
end)
