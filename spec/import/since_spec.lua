-- SPDX-License-Identifier: MIT
-- Imports since an earlier job: what that job and its retries delivered is not sent again and is listed, everything else is sent; a job that
-- went elsewhere, is in doubt, or kept no sound keys is refused. The sandbox's log is the oracle.

local campaign = require "campaign"
local core = require "campaign.core"
local imports = require "support.imports"
local lists = require "support.lists"

local LONGLONG = "longlong.import_customers_async"
local TUZHAN = "tuzhan.batch_add_group_relations"
local UPLOAD = "outbound.upload_contacts_file"

local function contains(text, part)
  assert(tostring(text):find(part, 1, true), "'" .. part .. "' is missing in: " .. tostring(text))
end

local function list(rows)
  return "name,phone,email\n" .. table.concat(rows, "\n") .. "\n"
end

local function numbered(from, to, more)
  local rows = {}
  for i = from, to do
    rows[#rows + 1] = more and more(i) or ("N%d,138%08d,n%d@example.com"):format(i, i, i)
  end
  return rows
end

local function sent_phones(after)
  local phones = {}
  for i, entry in ipairs(imports.commits()) do
    if i > (after or 0) then
      phones[#phones + 1] = entry.row.phone
    end
  end
  table.sort(phones)
  return phones
end

describe("since an earlier job", function()
  setup(function()
    imports.start()
  end)
  teardown(imports.stop)
  before_each(function()
    imports.reset()
  end)

  it("sends only what is new or changed, and lists the rest with the row that it was", function()
    local first = assert(imports.import(LONGLONG, list(numbered(1, 500))))
    assert.equal(500, #imports.commits())
    -- Columns in another order, another encoding, other quotes, a row moved: the same people.
    local rows = { "phone,备用,name,email" }
    for i = 500, 1, -1 do
      rows[#rows + 1] = ('"138%08d",x%d,"N%d",n%d@example.com'):format(i, i, i, i == 250 and 999 or i)
    end
    rows[#rows + 1] = "13900000001,,新人,"
    local text = assert(core.gbk.encode(table.concat(rows, "\r\n") .. "\r\n", "gbk"))
    local second = assert(imports.import(LONGLONG, text, { since = first.job }))
    imports.assert_balanced(second)
    assert.same({ 501, 499, 2, 0 }, { second.rows, second.unchanged, second.accepted_pending, second.exit_code })
    assert.same({ "13800000250", "13900000001" }, sent_phones(500))
    local listed = imports.read(second.unchanged_file)
    assert.same({ "1", "unchanged", "unchanged", "500", "13800000500" },
      { listed[1]._row, listed[1]._state, listed[1]._reason, listed[1]._code, listed[1].phone })
    local proof = assert(campaign.verify(second.job, { account = imports.accounts.longlong }))
    assert.same({}, proof.faults)
    -- The next one goes on from the second: what that left out was delivered by the first.
    rows[#rows] = "13900000002,,又新,"
    text = assert(core.gbk.encode(table.concat(rows, "\r\n") .. "\r\n", "gbk"))
    local third = assert(imports.import(LONGLONG, text, { since = second.job }))
    assert.same({ 500, 1 }, { third.unchanged, third.accepted_pending })
    assert.same({ "13900000002" }, sent_phones(502))
  end)

  it("sends again what the earlier job did not deliver: rejected, given back, suppressed, never sent", function()
    local dnc = imports.list("phone\n13800000009\n")
    local rows = numbered(1, 20, function(i) return i == 3 and "N3,,x" or i == 8 and ("N7,13800000007,n7@example.com") or nil end)
    imports.reset({ "import_customers_async:404@2-" })
    local first = assert(imports.import(LONGLONG, list(rows), { rows_per_call = 5, suppress = dnc .. ":phone", unique = "phone",
      concurrency = 1, attempts = 1 }))
    assert.same({ 5, 1, 1, 1, 12, "stopped" }, { first.accepted_pending, first.rejected, first.suppressed, first.duplicate, first.pending,
      first.state })
    imports.reset()
    local second = assert(imports.import(LONGLONG, list(rows), { since = first.job, unique = "phone" }))
    imports.assert_balanced(second)
    assert.same({ 5, 13, 1, 1 }, { second.unchanged, second.accepted_pending, second.rejected, second.duplicate })
    for _, phone in ipairs(sent_phones()) do
      assert(phone > "13800000006", phone)
    end
  end)

  it("sends no duplicate of a row that the earlier job delivered", function()
    local rows = numbered(1, 10, function(i) return i == 8 and "N3b,13800000003,other@example.com" or nil end)
    local first = assert(imports.import(LONGLONG, list(rows), { unique = "phone" }))
    assert.same({ 9, 1 }, { first.accepted_pending, first.duplicate })
    imports.reset()
    rows[11] = "N11,13800000011,n11@example.com"
    local second = assert(imports.import(LONGLONG, list(rows), { since = first.job, unique = "phone" }))
    imports.assert_balanced(second)
    assert.same({ 9, 1, 1 }, { second.unchanged, second.duplicate, second.accepted_pending })
    assert.same({ "13800000011" }, sent_phones())
    assert.equal("3", imports.read(second.duplicates_file)[1]._code)
    assert.has_error(function() campaign.open_job(second.job):join({}) end, "job:join takes the folder of a receiver's store, not a table")
  end)

  it("sends a row again that the platform had until another one with its key took its place", function()
    local old, new = "N1,13800000001,old@example.com", "N1,13800000001,new@example.com"
    local function step(rows, since)
      imports.reset()
      local result = assert(imports.import(LONGLONG, list(rows), { since = since, unique = "phone" }))
      imports.assert_balanced(result)
      return result, #sent_phones()
    end
    local first = step{ old }
    local second, sent = step({ new, old }, first.job)
    assert.same({ 1, 1, 0, 1 }, { second.accepted_pending, second.duplicate, second.unchanged, sent })
    local third
    third, sent = step({ old }, second.job)
    assert.same({ 1, 0, 1 }, { third.accepted_pending, third.unchanged, sent })
  end)

  it("knows rows that the platform gave back from those that it took", function()
    local options = { rows_per_call = 10 }
    local text = "identityType,phone,groups\n"
    for i = 1, 30 do
      text = text .. ("phone,138%08d,G\n"):format(i)
    end
    local delete = { publicParams = { isMatching = true, matchingType = 1, optType = "delete" } }
    options.params, options.set = delete, {}
    local first = assert(imports.import(TUZHAN, text, options))
    assert(first.rejected > 0)
    options.since = first.job
    local second = assert(imports.import(TUZHAN, text, options))
    assert.same({ first.accepted, first.rejected }, { second.unchanged, second.rejected })
  end)

  it("counts what retries of the job delivered", function()
    local rows = numbered(1, 5, function(i) return i == 2 and "N2,,n2@example.com" or nil end)
    local first = assert(imports.import(LONGLONG, list(rows)))
    local file = assert(io.open(first.rejects_file, "rb"))
    local mended = file:read("*a"):gsub("N2,,", "N2,13800000002,")
    file:close()
    lists.write(first.rejects_file, mended)
    local retried = assert(campaign.retry(first.job, { account = imports.accounts.longlong, env = imports.env() }))
    assert.equal(1, retried.accepted_pending)
    local second = assert(imports.import(LONGLONG, list(numbered(1, 6)), { since = first.job }))
    assert.same({ 5, 1 }, { second.unchanged, second.accepted_pending })
  end)

  it("works for files too, and with another overwrite", function()
    local first = assert(imports.import(UPLOAD, imports.people(30), { rows_per_file = 10 }))
    local second = assert(imports.import(UPLOAD, imports.people(40), { rows_per_file = 10, since = first.job }))
    assert.same({ 30, 10 }, { second.unchanged, second.accepted })
    assert.equal(40, #imports.commits())
  end)

  it("is refused for a job that went elsewhere, was filled otherwise, or does not stand still", function()
    local first = assert(imports.import(LONGLONG, list(numbered(1, 5))))
    for _, case in ipairs({
      { TUZHAN, {}, "that job went to longlong.import_customers_async, this import goes to tuzhan.batch_add_group_relations" },
      { LONGLONG, { account = { base_url = imports.accounts.longlong.base_url, token = "another", user_id = "u-2" } }, "another account" },
      { LONGLONG, { map = { email = "name", name = "email" } }, "fields were filled in another way then" },
      { LONGLONG, { set = { sex = "1" } }, "fields were filled in another way then" },
      { LONGLONG, { since = "/nowhere" }, "/nowhere" },
    }) do
      local more = { since = first.job }
      for key, value in pairs(case[2]) do
        more[key] = value
      end
      local header = case[2].map and "email,phone,name\nN1,1,n\n" or "name,phone,email,groups\nN1,1,n,g\n"
      header = case[1] == LONGLONG and not case[2].map and list(numbered(1, 1)) or header
      local job, err = campaign.plan(imports.options(case[1], header, more))
      assert.is_nil(job, case[3])
      contains(err.message, case[3])
      assert.equal("no", err.sent)
    end
    local other = assert(imports.import(UPLOAD, imports.people(3)))
    local job, err = campaign.plan(imports.options(UPLOAD, imports.people(3), { since = other.job, params = { dataSourceName = "autumn-contacts",
      dataSourceType = "0" } }))
    assert.is_nil(job)
    contains(err.message, "other values of dataSourceType")
  end)

  it("is refused while rows of the earlier job are in doubt, until somebody has said what became of them", function()
    imports.reset({ "import_customers_async:after-commit-close@1" })
    local first = assert(imports.import(LONGLONG, list(numbered(1, 5))))
    assert.equal(5, first.ambiguous)
    local job, err = campaign.plan(imports.options(LONGLONG, list(numbered(1, 6)), { since = first.job }))
    assert.is_nil(job)
    assert.equal("ledger", err.kind)
    contains(err.message, "5 rows of it are in doubt")
    contains(err.hint, "campaign resolve")
    assert(assert(campaign.open_job(first.job)):resolve(1, "applied"))
    local second = assert(imports.import(LONGLONG, list(numbered(1, 6)), { since = first.job }))
    assert.same({ 5, 1, 6 }, { second.unchanged, second.accepted_pending, #imports.commits() })
  end)

  it("is refused when the keys are gone, damaged, or were never kept", function()
    local first = assert(imports.import(LONGLONG, list(numbered(1, 50))))
    local path = first.job .. "/rows.keys"
    local file = assert(io.open(path, "rb"))
    local whole = file:read("*a")
    file:close()
    assert.equal(600, math.floor(core.system.stat(path).mode % 512 / 64) * 100) -- 0600
    assert.is_nil(whole:find("13800000001", 1, true))
    local function plan()
      return campaign.plan(imports.options(LONGLONG, list(numbered(1, 51)), { since = first.job }))
    end
    for _, broken in ipairs({ whole:sub(1, -2), whole .. "x", whole:sub(1, 100) .. "\1" .. whole:sub(102), "", whole:sub(2) }) do
      lists.write(path, broken)
      local job, err = plan()
      assert.is_nil(job)
      contains(err.message, "rows.keys: is damaged")
    end
    lists.write(path, "campaign row keys 1\n" .. whole:sub(-(32 + 50 * 16))) -- of a version with another hash
    local job, err = plan()
    assert.is_nil(job)
    assert.equal("ledger", err.kind)
    contains(err.message, "rows.keys: was made by another version of campaign, with another hash")
    os.remove(path)
    job, err = plan()
    assert.is_nil(job)
    contains(err.message, "rows.keys: is not there")
    lists.write(path, whole)
    job = assert(plan())
    assert.equal(50, job.plan.unchanged)
    job:close()
    local without = assert(imports.import(LONGLONG, list(numbered(1, 2)), { keys = false }))
    assert.is_nil(core.system.stat(without.job .. "/rows.keys"))
    job, err = campaign.plan(imports.options(LONGLONG, list(numbered(1, 2)), { since = without.job }))
    assert.is_nil(job)
    contains(err.message, "kept no keys")
    assert(campaign.forget(first.job))
    assert.is_nil(core.system.stat(path))
  end)

  it("has its say in a dry run, and is not asked again by resume", function()
    local first = assert(imports.import(LONGLONG, list(numbered(1, 20))))
    local options = imports.options(LONGLONG, list(numbered(1, 25)), { since = first.job, dry_run = true })
    options.job = nil
    local job = assert(campaign.plan(options))
    assert.same({ 20, 5 }, { job.plan.unchanged, job.plan.sendable })
    job:close()
    options = imports.options(LONGLONG, list(numbered(1, 25)), { since = first.job })
    job = assert(campaign.plan(options))
    job:close()
    os.remove(first.job .. "/rows.keys")
    local result = assert(assert(campaign.open_job(options.job, { account = options.account, env = imports.env() })):resume())
    imports.assert_balanced(result)
    assert.same({ 20, 5 }, { result.unchanged, result.accepted_pending })
    assert.equal("20", imports.read(result.unchanged_file)[20]._code)
  end)
end)
