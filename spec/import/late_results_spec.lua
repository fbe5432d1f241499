-- SPDX-License-Identifier: MIT
-- Results that come after the answer: the sandbox's own results, kept by a callback receiver, joined to the job they belong to. Doubled, early,
-- contradicting, incomplete and foreign ones, and those of batches whose answer, and with it the number, was lost.

local callback = require "campaign.callback"
local campaign = require "campaign"
local core = require "campaign.core"
local imports = require "support.imports"
local json = require "campaign.json"
local late_results = require "campaign.import.run.late_results"
local lists = require "support.lists"
local recorder = require "support.recorder"

local LONGLONG = "longlong.import_customers_async"
local SECRET = "b7c1d2e3f4a5968778695a4b3c2d1e0f"

-- What the pure part decides: name, result, rows sent, verdict, rejected rows
local function result(rows, more)
  local made = { rows = rows, conflict = false }
  for key, value in pairs(more or {}) do
    made[key] = value
  end
  return made
end
local SENT = { { row = 7, mark = "j.7" }, { row = 9, mark = "j.9" } }
local GOOD = { { index = 1, mark = "j.7", ok = true }, { index = 2, mark = "j.9", ok = true } }
local TABLE = {
  { "all rows good", result(GOOD, { total = 2, success = 2, fail = 0 }), "confirmed", {} },
  { "all rows good, without counts", result(GOOD), "confirmed", {} },
  { "rows in another order", result{ GOOD[2], GOOD[1] }, "confirmed", {} },
  { "one row bad", result({ GOOD[1], { index = 2, mark = "j.9", ok = false, reason = "no" } }, { success = 1, fail = 1 }), "confirmed", { 9 } },
  { "all rows bad", result{ { mark = "j.7", ok = false }, { mark = "j.9", ok = false } }, "confirmed", { 7, 9 } },
  { "rows by their places alone", result{ { index = 1, ok = true }, { index = 2, ok = false } }, "confirmed", { 9 } },
  { "F15 two that contradict each other", result(GOOD, { conflict = true }), "conflict" },
  { "F14 fewer rows than were sent", result{ GOOD[1] }, "conflict" },
  { "F14 more rows than were sent", result{ GOOD[1], GOOD[2], { index = 3, ok = true } }, "conflict" },
  { "F14 one row twice", result{ GOOD[1], GOOD[1] }, "conflict" },
  { "F14 rows of another batch", result{ { index = 1, mark = "x.1", ok = true }, { index = 2, mark = "x.2", ok = true } }, "conflict" },
  { "F14 no rows", result{}, "conflict" },
  { "F14 a total that is another", result(GOOD, { total = 3 }), "conflict" },
  { "F14 more good ones than rows say", result(GOOD, { success = 3 }), "conflict" },
  { "F14 a failure that no row tells", result(GOOD, { fail = 1 }), "conflict" },
  { "F14 counts of the other way round", result(GOOD, { success = 0, fail = 2 }), "conflict" },
  { "F11 a row that says neither", result{ GOOD[1], { index = 2, mark = "j.9" } }, "conflict" },
}

describe("import.late_results", function()
  local receiver, store

  setup(function()
    imports.start()
  end)
  teardown(imports.stop)

  for _, case in ipairs(TABLE) do
    it(case[1] .. ": " .. case[3], function()
      local outcomes, unmatched = callback.join(case[2], SENT)
      local verdict, detail, rejected = late_results.decide(case[2], outcomes, unmatched, SENT)
      assert.equal(case[3], verdict)
      assert.is_string(detail)
      local rows = {}
      for i, row in ipairs(rejected or {}) do
        rows[i] = row.row
      end
      assert.same(case[4] or {}, rows)
    end)
  end

  before_each(function()
    imports.reset()
    store = imports.folder()
    receiver = assert(callback.new{ platform = "longlong", store = store, secret = SECRET })
  end)
  after_each(function()
    imports.remove(store)
  end)

  local function post(body)
    local text = type(body) == "string" and body or assert(json.encode(body))
    local answer, kind = receiver:handle{ method = "POST", path = "/" .. SECRET, headers = { ["content-length"] = tostring(#text) }, body = text }
    assert.equal(200, answer.status)
    return kind
  end

  -- The results that the sandbox has for everything it took over.
  local function results()
    assert(imports.handle:control("clock", { advance = 3600 }))
    local list = assert(imports.handle:control("results")).results
    assert.is_true(#list > 0)
    return list
  end

  local function open(folder)
    return assert(campaign.open_job(folder, { account = imports.accounts.longlong, env = imports.env() }))
  end

  local function import(n, more, faults)
    imports.reset(faults)
    local options = { rows_per_call = 10, concurrency = 1 }
    for key, value in pairs(more or {}) do
      options[key] = value
    end
    return assert(imports.import(LONGLONG, imports.people(n), options))
  end

  it("makes rows that were taken over accepted ones, and rejects those that the platform refuses, with its words", function()
    local job = import(30)
    assert.equal(30, job.accepted_pending)
    for i, body in ipairs(results()) do
      if i == 2 then
        body.rows[3].ok, body.rows[3].reason = false, "number 13800000013 is blocked"
        body.success, body.fail = 9, 1
      end
      assert.equal("first", post(body))
      assert.equal("duplicate", post(body))
    end
    local joined = assert(open(job.job):join(store))
    assert.equal(3, #joined)
    assert.same({ "confirmed", 1 }, { joined[2].as, joined[2].rejected })
    assert.same({}, assert(open(job.job):join(store))) -- once
    local again = assert(open(job.job):resume())
    assert.same({ 29, 0, 1, 0, 7, 0 }, { again.accepted, again.accepted_pending, again.rejected, again.ambiguous, again.exit_code, again.requests })
    local row = imports.read(again.rejects_file)[1]
    assert.same({ "13", "platform", "refused" }, { row._row, row._cause, row._reason })
    assert.matches("is blocked", row._message, 1, true)
    assert.is_nil(row._message:find("13800000013", 1, true)) -- the ledger holds no numbers
    assert.equal(30, #imports.commits())
    imports.assert_balanced(again)
    local base = imports.accounts.longlong.base_url:match("^https?://[^/]+")
    local verified = assert(campaign.verify(job.job, { sandbox = base }))
    assert.is_true(verified.ok) -- the server's log has what was taken over at first
  end)

  it("joins what is told of the rows of a file, of a platform of one's own", function()
    local path = lists.file([[return {
      name = "mill", title = "Mill", doc = "Files.", source = "mill.md", zone = "+00:00",
      account = { { name = "token", required = true, secret = true, doc = "key" }, { name = "base_url", type = "url", required = true, doc = "where" } },
      auth = { bearer = { kind = "bearer", key = "token" } },
      callbacks = { done = { operation = "upload", id = "number", rows = "rows", ok = "ok", index = "n", reason = "why", doc = "posted at the end" } },
      operations = {
        { name = "upload", doc = "Takes a file.", source = ":1", method = "POST", path = "/files", auth = "bearer", body = "multipart",
          response = "json", effect = "append", fields = { { name = "list", where = "form", type = "file", required = true } },
          reply = { { name = "number", type = "int64" } }, present = { "number" },
          rows = { field = "list", shape = "csv", columns = { "phone" }, result = { accepted = "pending", id = "number" },
            file = { part = "list", encoding = "gbk", line_end = "\n", header = true, filename = "list.csv" } } },
      },
    }]])
    local wire = recorder.new{ recorder.reply('{"number":17}') }
    local given = { account = { base_url = wire.url, token = "t" }, env = imports.env() }
    local job = assert(campaign.import{ source = lists.file("phone\n王一\n王二\n"), to = path .. ".upload", job = imports.job(), transport = wire,
      account = given.account, env = given.env })
    wire:close()
    local folder = imports.job()
    local own = assert(callback.new{ platform = path, secret = SECRET, store = folder })
    local text = '{"number":17,"rows":[{"n":0,"ok":true},{"n":1,"ok":false,"why":"no such number"}]}'
    assert.equal(200, own:handle{ method = "POST", path = "/" .. SECRET, headers = { ["content-length"] = tostring(#text) }, body = text }.status)
    local joined = assert(assert(campaign.open_job(job.job, given)):join(folder))
    assert.same({ "confirmed", 1 }, { joined[1].as, joined[1].rejected })
    local again = assert(assert(campaign.open_job(job.job, given)):resume())
    assert.same({ 1, 1, 0 }, { again.accepted, again.rejected, again.accepted_pending })
    assert.equal("no such number", imports.read(again.rejects_file)[1]._message)
  end)

  it("F16 settles a batch whose answer was lost by the marks of its rows", function()
    local job = import(30, nil, { "import_customers_async:after-commit-close@2" })
    assert.same({ 20, 10 }, { job.accepted_pending, job.ambiguous })
    for _, body in ipairs(results()) do
      post(body)
    end
    local joined = assert(open(job.job):join(store))
    assert.equal(3, #joined)
    assert.equal("confirmed", joined[2].as)
    local again = assert(open(job.job):resume())
    assert.same({ 30, 0, 0 }, { again.accepted, again.ambiguous, again.exit_code })
    assert.equal(30, #imports.commits())
    imports.assert_balanced(again)
  end)

  it("F16 settles each of several such batches, the first and the last row of a list among them", function()
    local job = import(45, nil, { "import_customers_async:after-commit-close@1", "import_customers_async:after-commit-close@3",
      "import_customers_async:after-commit-close@5" })
    assert.same({ 20, 25 }, { job.accepted_pending, job.ambiguous })
    for _, body in ipairs(results()) do
      post(body)
    end
    local joined = assert(open(job.job):join(store))
    assert.equal(5, #joined)
    for _, found in ipairs(joined) do
      assert.equal("confirmed", found.as)
    end
    assert.equal(45, assert(open(job.job):resume()).accepted)
  end)

  it("F16 keeps a batch in doubt of which nothing came, and takes no other job's results for it", function()
    local job = import(30, nil, { "import_customers_async:close-after-read@2" })
    local other = import(30, nil)
    for _, body in ipairs(results()) do
      post(body)
    end
    post('{"unique_id":"forged","rows":[{"index":0,"extra":"nobody.1","ok":true}]}')
    post("no json")
    assert.equal(1, #assert(open(job.job):inspect()).doubtful)
    assert(open(job.job):join(store))
    local again = assert(open(job.job):resume())
    assert.equal(10, again.ambiguous)
    assert.equal(3, #assert(open(other.job):join(store)))
  end)

  it("F16 takes no other job's results for a batch in doubt, though many jobs begin in one second, as leads in nginx do", function()
    local env = imports.env()
    local began = env.now()
    env.now = function() return began end
    env.random = function(count) return ("ab" .. core.system.random(count)):sub(1, count) end -- 2 bytes are the same for 1 in 65,536
    local job = import(10, { env = env }, { "import_customers_async:close-after-read@1" })
    import(10, { env = env })
    for _, body in ipairs(results()) do
      post(body)
    end
    assert(open(job.job):join(store))
    assert.equal(10, assert(open(job.job):resume()).ambiguous)
  end)

  it("F16 finds nothing where the list fills the mark itself, or where a batch's rows came under two numbers", function()
    local job = import(10, { map = { extra = "uuid" } }, { "import_customers_async:after-commit-close@1" })
    for _, body in ipairs(results()) do
      post(body)
    end
    local joined = assert(open(job.job):join(store))
    assert.same({ 1 }, { #joined })
    assert.matches("do not bear our marks", joined[1].detail, 1, true)
    job = import(10, nil, { "import_customers_async:after-commit-close@1-2" })
    assert(open(job.job):resolve(1, "resend"))
    assert.equal(10, assert(open(job.job):resume()).ambiguous)
    for _, body in ipairs(results()) do
      post(body)
    end
    joined = assert(open(job.job):join(store))
    assert.is_nil(joined[1].as)
    assert.matches("more than once", joined[1].detail, 1, true)
    assert.equal(10, assert(open(job.job):resume()).ambiguous)
  end)

  it("F15 puts a batch in doubt whose callbacks contradict each other, early or late_results, and lists its rows", function()
    local job = import(20)
    local bodies = results()
    for _, body in ipairs(bodies) do
      post(body)
    end
    assert.equal(2, #assert(open(job.job):join(store)))
    assert.equal(20, assert(open(job.job):resume()).accepted)
    bodies[1].rows[1].ok, bodies[1].success, bodies[1].fail = false, 9, 1
    assert.equal("conflict", post(bodies[1]))
    local joined = assert(open(job.job):join(store))
    assert.same({ 1, "conflict" }, { joined[1].batch, joined[1].as })
    local again = assert(open(job.job):resume())
    assert.same({ 10, 10, 4 }, { again.accepted, again.ambiguous, again.exit_code })
    assert.equal("1", imports.read(again.ambiguous_file)[1]._row)
    imports.assert_balanced(again)
    assert.is_nil(assert(open(job.job):join(store))[1].as) -- it stays so
    assert(open(job.job):resolve(1, "applied", "looked into the pool"))
    assert.equal(20, assert(open(job.job):resume()).accepted)
  end)

  local function refuse(body, ...)
    for _, at in ipairs({ ... }) do
      body.rows[at].ok, body.rows[at].reason = false, "blocked"
    end
    body.success, body.fail = #body.rows - select("#", ...), select("#", ...)
  end

  local function verified(job)
    local base = imports.accounts.longlong.base_url:match("^https?://[^/]+")
    local proof = assert(campaign.verify(job, { sandbox = base }))
    assert.is_true(proof.ok, json.encode(proof.faults))
  end

  local function retry(job, file)
    return campaign.retry(job, { file = file, unchanged = true, account = imports.accounts.longlong, env = imports.env() })
  end

  -- Rows 3 and 5 of the first batch were refused, then a second result said otherwise. The rejects as they were, in a file of their own.
  local function contradicted()
    local job = import(20)
    local bodies = results()
    refuse(bodies[1], 3, 5)
    for _, body in ipairs(bodies) do
      post(body)
    end
    assert.equal(2, #assert(open(job.job):join(store)))
    local again = assert(open(job.job):resume())
    assert.same({ 18, 2 }, { again.accepted, again.rejected })
    verified(job.job)
    local file = store .. "/mended.csv"
    local from, to = assert(io.open(again.rejects_file, "rb")), assert(io.open(file, "wb"))
    to:write(from:read("*a"))
    from:close()
    to:close()
    refuse(bodies[1], 4)
    bodies[1].rows[3].ok, bodies[1].rows[5].ok = true, true
    assert.equal("conflict", post(bodies[1]))
    assert.equal("conflict", assert(open(job.job):join(store))[1].as)
    return job, file
  end

  it("F15 doubts the rows of such a batch that were refused at first, too: no retry sends them", function()
    local job, file = contradicted()
    for _ = 1, 2 do -- before its files are made again, and after
      local sent, err = retry(job.job, file)
      assert.is_nil(sent)
      assert.matches("3 is ambiguous, 5 is ambiguous", err.message .. (err.hint or ""), 1, true)
      local again = assert(open(job.job):resume())
      assert.same({ 10, 10, 0 }, { again.accepted, again.ambiguous, again.rejected })
      imports.assert_balanced(again)
      verified(job.job)
    end
    assert.equal(20, #imports.commits())
    assert(open(job.job):resolve(1, "applied", "looked into the pool"))
    local again = assert(open(job.job):resume())
    assert.same({ 18, 0, 2 }, { again.accepted, again.ambiguous, again.rejected }) -- the first result stands
    verified(job.job)
    assert.equal(2, assert(retry(job.job, file)).rows)
    verified(job.job)
  end)

  it("F15 sends such a batch again by order and counts what the next result refuses, not what the first one did", function()
    local job, file = contradicted()
    assert(open(job.job):resolve(1, "resend"))
    local again = assert(open(job.job):resume())
    assert.same({ 10, 10, 0, 0 }, { again.accepted, again.accepted_pending, again.ambiguous, again.rejected })
    verified(job.job)
    assert.is_nil((retry(job.job, file)))
    local bodies = results()
    refuse(bodies[#bodies], 4)
    post(bodies[#bodies])
    local joined = assert(open(job.job):join(store))
    assert.same({ 1, 1, "confirmed", 1 }, { #joined, joined[1].batch, joined[1].as, joined[1].rejected })
    again = assert(open(job.job):resume())
    assert.same({ 19, 1, "4" }, { again.accepted, again.rejected, imports.read(again.rejects_file)[1]._row })
    imports.assert_balanced(again)
    verified(job.job)
    assert.equal(1, assert(retry(job.job, again.rejects_file)).rows)
    verified(job.job)
  end)

  it("F14 puts a batch in doubt whose result does not add up", function()
    local job = import(20)
    local bodies = results()
    bodies[2].rows[10] = nil
    for _, body in ipairs(bodies) do
      post(body)
    end
    local joined = assert(open(job.job):join(store))
    assert.same({ "confirmed", "conflict" }, { joined[1].as, joined[2].as })
    assert.matches("10 rows sent; the callback tells of 9", joined[2].detail, 1, true)
    local again = assert(open(job.job):resume())
    assert.same({ 10, 10 }, { again.accepted, again.ambiguous })
    imports.assert_balanced(again)
  end)

  it("F17 leaves rows as taken over as long as nothing comes, and says that there is no store", function()
    local job = import(20)
    assert.same({}, assert(open(job.job):join(store)))
    assert.equal(20, assert(open(job.job):resume()).accepted_pending)
    local none, err = open(job.job):join(store .. "/nowhere")
    assert.is_nil(none)
    assert.equal("usage", err.kind)
    local outbound = assert(imports.import("outbound.upload_contacts_json", imports.people(3)))
    none, err = assert(campaign.open_job(outbound.job, { account = imports.accounts.outbound, env = imports.env() })):join(store)
    assert.is_nil(none)
    assert.matches("sends no callbacks", err.message, 1, true)
  end)
end)
