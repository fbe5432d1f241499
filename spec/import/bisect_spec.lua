-- SPDX-License-Identifier: MIT
-- Refusals of whole calls, narrowed down to the rows that are to blame. The sandbox is told to refuse phones that are no mobile numbers, which
-- the client does not check; its commit log says which rows were taken over, and how often.

local bisect = require "campaign.import.run.bisect"
local imports = require "support.imports"
local ledger_module = require "campaign.ledger"
local sandbox_json = require "campaign.sandbox.json"

local LONGLONG, JSON = "longlong.import_customers_async", "outbound.upload_contacts_json"

-- The most calls beyond the first that k rows to blame among n can cost when halves are sent: two for each refused piece.
local function formula(n, k)
  local calls, pieces = 0, 1
  for _ = 1, bisect.depth(n) do
    calls = calls + 2 * math.min(pieces, k)
    pieces = pieces * 2
  end
  return calls
end

local function generator(seed)
  local random = seed % 2147483646 + 1
  return function(n)
    random = random * 16807 % 2147483647
    return random % n + 1
  end
end

describe("import.bisect", function()
  setup(function()
    imports.start()
  end)
  teardown(imports.stop)

  local function reset(faults)
    imports.reset(faults)
    assert(imports.handle:control("rules", { without = sandbox_json.array({ "R380" }) }))
  end

  -- A list of n people in which the rows of the set have a phone that the sandbox refuses.
  local function list_of(n, guilty)
    return imports.people(n, function(i)
      return ("c-%05d,客户%d,%s,\"第%d公司, 有限\",老客户"):format(i, i, guilty[i] and "bad" .. i or ("138%08d"):format(i), i)
    end)
  end

  -- Rows by number that were taken over, how often.
  local function committed()
    local times = {}
    for _, entry in ipairs(imports.commits()) do
      local number = tonumber((tostring(entry.row.phone):match("^138(%d+)$")))
      times[number] = (times[number] or 0) + 1
    end
    return times
  end

  local function assert_exact(result, n, guilty, label)
    local times, rejected = committed(), {}
    for _, row in ipairs(imports.read(result.rejects_file)) do
      assert.is_nil(rejected[tonumber(row._row)], label)
      rejected[tonumber(row._row)] = row
    end
    for i = 1, n do
      assert.equal(guilty[i] and 0 or 1, times[i] or 0, label .. ", row " .. i)
      assert.equal(guilty[i] or false, rejected[i] ~= nil, label .. ", row " .. i)
      if guilty[i] then
        assert.equal("400", rejected[i]._code)
        assert.matches("phone: expected a mobile number", rejected[i]._message, 1, true)
        assert.equal("bad" .. i, rejected[i]["手机号"])
      end
    end
    imports.assert_balanced(result)
  end

  -- No refusal has cost more calls than the formula allows.
  local function assert_calls(result, guilty, label)
    local ledger = assert(ledger_module.open(result.job .. "/ledger.db"))
    local ranges, seen, checked = {}, {}, 0
    for attempt in result:each_batch() do
      ranges[attempt.batch] = attempt
    end
    for _, range in pairs(ranges) do
      local found = assert(ledger:ask("narrowing", range.batch))[1]
      if not seen[found.root] then
        seen[found.root] = true
        local root, count = ranges[found.root], 0
        for row = root.first_row, root.first_row + root.rows - 1 do
          count = count + (guilty[row] and 1 or 0)
        end
        assert.is_true(found.calls <= formula(root.rows, count),
          ("%s: %d calls for %d of %d rows"):format(label, found.calls, count, root.rows))
        checked = checked + 1
      end
    end
    ledger:close()
    return checked
  end

  it("accepts every innocent row once and lists every guilty one, within the calls that halving takes", function()
    local seed = tonumber(os.getenv("CAMPAIGN_SEED")) or os.time()
    local draw = generator(seed)
    for case = 1, tonumber(os.getenv("CAMPAIGN_BISECTS")) or 10 do
      reset()
      local n, guilty = draw(300) + 1, {}
      local most = ({ 1, 3, 12, math.ceil(n / 4), n })[draw(5)]
      for _ = 1, draw(most) do
        guilty[draw(n)] = true
      end
      local options = { bisect = 1000000, concurrency = ({ 1, 8 })[draw(2)], rows_per_call = ({ 7, 60, 200 })[draw(3)] }
      local label = ("seed %d, case %d"):format(seed, case)
      local result = assert(imports.import(LONGLONG, list_of(n, guilty), options))
      assert.equal("finished", result.state, label)
      assert_exact(result, n, guilty, label)
      assert.is_true(assert_calls(result, guilty, label) > 0)
    end
  end)

  it("finds one row of 200 with 16 calls at most, wherever it is", function()
    for _, row in ipairs({ 1, 100, 101, 137, 200 }) do
      reset()
      local result = assert(imports.import(LONGLONG, list_of(200, { [row] = true }), { concurrency = 1 }))
      assert_exact(result, 200, { [row] = true }, "row " .. row)
      assert.is_true(result.requests <= 17, result.requests .. " calls for row " .. row)
      assert.equal(199, result.accepted_pending)
      assert.equal(7, result.exit_code)
    end
  end)

  it("leaves out rows that the preflight refused and those of the same phone, in every piece", function()
    reset()
    local text = list_of(60, { [30] = true }):gsub("c%-00017,([^\n]*)\n", "c-00017,%1,too,many,fields\n")
      :gsub("13800000040", "13800000041")
    local result = assert(imports.import(LONGLONG, text, { unique = "phone" }))
    assert.same({ 57, 2, 1 }, { result.accepted_pending, result.rejected, result.duplicate })
    assert.equal(57, #imports.commits())
    imports.assert_balanced(result)
  end)

  it("stops within its calls and says of the rest that it was refused together", function()
    reset()
    local guilty = {}
    for i = 1, 200 do
      guilty[i] = true
    end
    local result = assert(imports.import(LONGLONG, list_of(400, guilty), { concurrency = 1, rows_per_call = 200 }))
    assert.is_true(result.requests <= 1 + bisect.budget(200) + 16, result.requests .. " calls")
    assert.equal(200, result.rejected)
    assert.equal(200, #imports.commits())
    imports.assert_balanced(result)

    reset()
    result = assert(imports.import(LONGLONG, list_of(400, { [3] = true, [4] = true, [390] = true }),
      { concurrency = 1, rows_per_call = 200, bisect = 4 }))
    assert.is_true(result.requests <= 2 + 2 * 4)
    assert.equal(400, result.rejected + #imports.commits())
    imports.assert_balanced(result)
  end)

  it("gives up on the other batches too when nothing at all is taken over", function()
    imports.reset({ "import_customers_async:code=400@1-" })
    local result = assert(imports.import(LONGLONG, imports.people(4000), { concurrency = 4 }))
    assert.equal(4000, result.rejected)
    assert.equal(5, result.exit_code)
    -- The halves that stand when the last call is spent are still sent.
    assert.is_true(result.requests <= 20 + bisect.budget(200) + 4 * bisect.depth(200), result.requests .. " calls")
    imports.assert_balanced(result)
  end)

  it("cuts batches before they are sent when refused rows are common", function()
    local guilty = {}
    for i = 10, 3000, 20 do
      guilty[i] = true
    end
    reset()
    local result = assert(imports.import(LONGLONG, list_of(3000, guilty), { concurrency = 1, bisect = 1000000 }))
    assert_exact(result, 3000, guilty, "common")
    local whole = 0
    for attempt in result:each_batch() do
      whole = whole + (attempt.rows == 200 and 1 or 0)
    end
    assert.equal(1, whole) -- the first one teaches it
  end)

  it("never narrows a batch that is in doubt, nor one whose rows the platform has judged one by one", function()
    imports.reset({ "import_customers_async:500@1" })
    local result = assert(imports.import(LONGLONG, imports.people(400), { concurrency = 1 }))
    assert.same({ 200, 200, 2 }, { result.ambiguous, result.accepted_pending, result.requests })
    imports.reset()
    result = assert(imports.import("tuzhan.batch_add_group_relations", imports.people(50), { params = {
      publicParams = { isMatching = true, matchingType = 1, optType = "delete" } } }))
    assert.same({ 50, 1 }, { result.rejected, result.requests })
  end)

  it("does not narrow when it is told so, nor where the platform's data does not allow it", function()
    reset()
    local result = assert(imports.import(LONGLONG, list_of(50, { [9] = true }), { bisect = 0 }))
    assert.same({ 50, 1 }, { result.rejected, result.requests })
    local fields = { rows = {} }
    assert.is_nil(bisect.new{ operation = fields })
    assert.is_nil(bisect.new{ operation = { rows = { all_or_nothing = true } }, calls = 0 })
  end)

  it("keeps the order of an import that has one, and goes on behind a row that was singled out", function()
    imports.reset()
    assert(imports.handle:control("rules", { forms = sandbox_json.array({ "outbound-field-length" }) }))
    local long = ("长"):rep(300)
    local text = imports.people(100, function(i)
      return ("c-%05d,%s,138%08d,公司,老客户"):format(i, (i == 33 or i == 70) and long or "客户", i)
    end)
    local result = assert(imports.import(JSON, text, { rows_per_call = 20 }))
    assert.equal("finished", result.state)
    assert.same({ 98, 2 }, { result.accepted, result.rejected })
    local before = 0
    for _, entry in ipairs(imports.commits()) do
      local number = tonumber((entry.row[1]:match("c%-(%d+)")))
      assert.is_true(number > before)
      before = number
    end
    imports.assert_balanced(result)
  end)

  it("R072 client stops an import that keeps order when the rows to blame were not found", function()
    imports.reset({ "upload_contacts_json:code=400@2-" })
    local result = assert(imports.import(JSON, imports.people(100), { rows_per_call = 20, bisect = 6 }))
    assert.equal("stopped", result.state)
    assert.equal(20, result.taken_over)
    assert.equal(100, result.taken_over + result.rejected + result.pending)
    assert.equal(20, #imports.commits())
    imports.assert_balanced(result)
  end)

  it("never cuts the batch that overwrites", function()
    imports.reset({ "upload_contacts_file:code=400@1" })
    local result = assert(imports.import("outbound.upload_contacts_file", imports.people(100), { rows_per_file = 50, overwrite = true }))
    assert.equal("stopped", result.state)
    assert.same({ 50, 50, 1 }, { result.rejected, result.pending, result.requests })
    assert.equal(0, #imports.commits())
  end)

  it("tells the calls of a piece in batches.jsonl like those of any batch", function()
    reset()
    local result = assert(imports.import(LONGLONG, list_of(4, { [2] = true }), { concurrency = 1 }))
    local said = {}
    for attempt in result:each_batch() do
      said[#said + 1] = ("%d+%d %s"):format(attempt.first_row, attempt.rows, attempt.verdict)
    end
    assert.same({ "1+4 rejected", "1+2 rejected", "3+2 accepted", "1+1 accepted", "2+1 rejected" }, said)
  end)
end)
