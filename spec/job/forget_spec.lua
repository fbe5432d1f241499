-- SPDX-License-Identifier: MIT
-- Personal data in a job folder: only row files hold it, at every moment of a run and whatever the platform says; and campaign.forget, after which
-- nothing holds it.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local json = require "campaign.json"
local lfs = require "lfs"
local platforms = require "campaign.api.platform"
local recorder = require "support.recorder"

local LONGLONG, TUZHAN = "longlong.import_customers_async", "tuzhan.batch_add_group_relations"

-- Files that may hold rows of the list.
local ROW_FILES = "%.csv$"

local CANARIES = { "司马相如", "上官婉儿", "Xiomara Quill", "13955550123", "15855550199", "xq@canary.example", "金丝雀贸易有限公司" }

local known = {}

local function encodings(text)
  if known[text] then
    return known[text]
  end
  local list = { text, core.digest.base64_encode(text), (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)) }
  for _, encoding in ipairs({ "gb18030", "utf-16le", "utf-16be" }) do
    list[#list + 1] = assert(core.gbk.encode(text, encoding))
  end
  list[#list + 1] = text:gsub("[\194-\244][\128-\191]*", function(character) -- as JSON may escape it
    local bytes = assert(core.gbk.encode(character, "utf-16be"))
    return (bytes:gsub("..", function(pair) return ("\\u%02x%02x"):format(pair:byte(1, 2)) end))
  end)
  known[text] = list
  return list
end

local function list_of(n)
  return imports.people(n, function(i)
    if i == 3 then
      return "c-3,司马相如,13955550123,金丝雀贸易有限公司,老客户"
    elseif i == 4 then
      return "c-4,Xiomara Quill,,xq@canary.example,老客户"
    elseif i == 7 then
      return "c-7,上官婉儿,15855550199,x,y"
    end
  end)
end

-- Names of the files, below a folder, that hold one of the texts, and the number of files looked at.
local function holders(folder, texts, prefix)
  local found, count = {}, 0
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if lfs.attributes(path, "mode") == "directory" then
      if name ~= "." and name ~= ".." then
        local inner, more = holders(path, texts, (prefix or "") .. name .. "/")
        count = count + more
        for inner_name, what in pairs(inner) do
          found[inner_name] = what
        end
      end
    else
      count = count + 1
      local content = command.read(path):gsub("%z%z%z+", "\0\0") -- the ledger's log is zeros for the most part
      for _, text in ipairs(texts) do
        for _, form in ipairs(encodings(text)) do
          if content:find(form, 1, true) then
            found[(prefix or "") .. name] = text
          end
        end
      end
    end
  end
  return found, count
end

local function assert_only_row_files(folder, texts, label)
  local found = holders(folder, texts)
  for name, text in pairs(found) do
    assert.is_truthy(name:find(ROW_FILES), label .. ": " .. name .. " holds " .. text)
  end
  return found
end

describe("campaign.forget", function()
  setup(function() imports.start() end)
  teardown(imports.stop)
  before_each(function() imports.reset() end)

  local function secrets()
    return { imports.accounts.longlong.token }
  end

  local function all_texts()
    local texts = secrets()
    for _, canary in ipairs(CANARIES) do
      texts[#texts + 1] = canary
    end
    return texts
  end

  -- Every kind of trouble once; files are looked at while requests are on their way.
  local function run(to, faults, more)
    imports.reset(faults)
    local real, looked, folder = require("campaign.transport").new(), 0, imports.job()
    local transport = setmetatable({
      submit = function(_, request)
        if looked < 4 and core.system.stat(folder .. "/ledger.db-wal") then
          looked = looked + 1
          assert_only_row_files(folder, all_texts(), "running")
        end
        return real:submit(request)
      end,
    }, { __index = function(_, name) return function(_, ...) return real[name](real, ...) end end })
    local options = { rows_per_call = 5, concurrency = 2, job = folder, transport = transport, set = more and more.set,
      check = { ["手机号"] = "mobile_cn" } }
    options = imports.options(to, list_of(40), options)
    local result = assert(campaign.import(options))
    real:close()
    assert.is_true(looked > 1)
    return result, { account = options.account, env = options.env }
  end

  it("finds personal data in the row files alone, in every encoding, while it runs and after every kind of fault", function()
    for _, fault in ipairs({ "after-commit-close@1", "after-commit-500@1", "truncate-body@1", "bad-json@1", "wrong-type@1", "401@1", "429@1",
      "code=500@1", "502@1", "close-before-read@1" }) do
      local result = run(LONGLONG, { "import_customers_async:" .. fault })
      local found = assert_only_row_files(result.job, all_texts(), fault)
      assert.is_truthy(found["rejects.csv"]) -- the search finds what is there
      for name in pairs(holders(result.job, secrets())) do
        error(fault .. ": " .. name .. " holds the token")
      end
    end
  end)

  it("takes out of a platform's words what they repeat of the rows", function()
    local said = '{"code":400,"msg":"客户 司马相如 (13955550123, 金丝雀贸易有限公司) 和 上官婉儿 已存在","data":null}'
    for _, status in ipairs({ "200 OK", "400 Bad Request", "500 Internal Server Error" }) do
      local transport = recorder.new{ recorder.reply(said, status) }
      local options = imports.options(LONGLONG, list_of(20), { rows_per_call = 20, concurrency = 1, transport = transport })
      options.account = { base_url = transport.url, token = "t-secret-canary", user_id = "22222222-2222-4222-8222-222222222222" }
      local result = assert(campaign.import(options))
      transport:close()
      assert_only_row_files(result.job, all_texts(), status)
      local report = command.read(result.report_file) .. command.read(result.job .. "/ledger.db")
      assert.is_truthy(report:find("已存在", 1, true) or status:find("^500") or result.accepted_pending > 0, status)
      assert.is_nil(tostring(result.error):find("司马相如", 1, true))
      assert.is_nil(holders(result.job, { "t-secret-canary" })["ledger.db"])
    end
  end)

  it("keeps the call's fields in the ledger: none of an importable operation is secret or personal", function()
    for _, name in ipairs(platforms.names()) do
      local platform = assert(platforms.load(name))
      for _, operation in ipairs(platform.operations) do
        for _, field in ipairs(operation.rows and operation.fields or {}) do
          if field.name ~= operation.rows.field then
            assert.is_nil(field.redact, operation.key .. "." .. field.name)
          end
        end
      end
    end
  end)

  it("erases what a job and its retries know of people, says so, and keeps the counts", function()
    local result, given = run(LONGLONG)
    local before = json.decode(command.read(result.report_file))
    command.write(result.rejects_file, (command.read(result.rejects_file):gsub("Quill,,", "Quill,13955550124,")))
    local again = assert(campaign.retry(result.job, given))
    assert.equal(1, again.taken_over)
    command.write(result.job .. "/notes.txt", "call 司马相如")
    os.execute("mkdir " .. result.job .. "/verify-rows && cp " .. result.rejects_file .. " " .. result.job .. "/verify-rows/booked-0")
    assert.is_truthy(next((holders(result.job, CANARIES))))

    local forgotten = assert(campaign.forget(result.job))
    assert.same({ "rejects.csv", "retry-1/rows.keys", "retry-1.csv", "rows.keys", "verify-rows/booked-0" }, forgotten.removed)
    assert.same({ "notes.txt" }, forgotten.left)
    assert.is_true(forgotten.bytes > 100)
    os.remove(result.job .. "/notes.txt")
    local found, count = holders(result.job, all_texts())
    assert.same({}, found)
    assert.is_true(count >= 8)

    local after = json.decode(command.read(result.report_file))
    for _, name in ipairs({ "rows", "accepted", "accepted_pending", "rejected", "ambiguous", "exit_code" }) do
      assert.equal(before[name], after[name], name)
    end
    assert.is_nil(after.rejects_file)
    assert.is_truthy(after.forgotten)
    local job = assert(campaign.open_job(result.job, given))
    assert.equal(result.rejected, assert(job:resume()).rejected)
    assert.equal(0, job:inspect().rows.pending)
    local proof = assert(campaign.verify(result.job))
    assert.is_true(proof.ok, json.encode(proof.faults))
    assert.is_false(proof.jobs[1].reports)
    assert.is_true(proof.jobs[2].forgotten)
    local _, why = campaign.verify(result.job, { sandbox = imports.handle.base_url })
    assert.matches("was forgotten", why.message, 1, true)
    assert.same({}, assert(campaign.forget(result.job)).removed) -- nothing is left to forget
    local _, err = campaign.retry(result.job, given)
    assert.matches("forgotten", err.hint, 1, true)
  end)

  it("removes what bears a name that we give, and leaves lists and copies that somebody put there", function()
    local result = run(LONGLONG)
    local ours = { ".campaign-0123456789abcdef.tmp", "duplicates-edited-2.csv", "ledger.db.reserve", "not_sent.csv",
      "possibly_duplicated-edited-1.csv", "rejects-before-1.csv", "rejects-edited-12.csv", "retry-1.csv" }
    local others = { "list-edited-1.csv", "list.csv", "notes.tmp", "rejects copy.csv", "rejects-before-x.csv", "rejects.csv.bak", "retry-me.csv" }
    for _, names in ipairs({ ours, others }) do
      for _, name in ipairs(names) do
        command.write(result.job .. "/" .. name, "id,name\nc-3,司马相如\n")
      end
    end
    local forgotten = assert(campaign.forget(result.job))
    table.insert(ours, "rejects.csv")
    table.insert(ours, "rows.keys")
    table.sort(ours)
    table.sort(forgotten.removed)
    assert.same(ours, forgotten.removed)
    assert.same(others, forgotten.left)
    for _, name in ipairs(others) do
      assert.equal("id,name\nc-3,司马相如\n", command.read(result.job .. "/" .. name))
    end
    assert.same(others, assert(campaign.forget(result.job, { all = true })).left)
    assert.is_truthy(lfs.attributes(result.job .. "/list.csv"))
  end)

  it("touches nothing behind a link, whatever its name", function()
    local result = run(LONGLONG)
    local mine = command.folder()
    for _, name in ipairs({ "job.json", "rejects.csv", "list.csv" }) do
      command.write(mine .. "/" .. name, "id,name\nc-3,司马相如\n")
    end
    for _, name in ipairs({ "recover-tmp", "retry-9" }) do
      assert.equal(0, command.run({ "ln", "-s", mine, result.job .. "/" .. name }).code)
    end
    assert.same({ "recover-tmp", "retry-9" }, assert(campaign.forget(result.job)).left)
    assert.equal(3, #core.system.list_dir(mine))
    command.remove(mine)
  end)

  it("removes the whole job when told so, and only what is ours", function()
    local result = run(TUZHAN)
    command.write(result.job .. "/notes.txt", "mine")
    local forgotten = assert(campaign.forget(result.job, { all = true }))
    assert.same({}, forgotten.kept)
    local names = core.system.list_dir(result.job)
    assert.same({ "notes.txt" }, names)
    result = run(TUZHAN)
    assert(campaign.forget(result.job, { all = true }))
    assert.is_nil(core.system.stat(result.job))
    local _, err = campaign.forget(result.job)
    assert.equal("usage", err.kind)
  end)

  it("refuses a job that is not settled unless forced, and one that runs in any case", function()
    local result, given = run(LONGLONG, { "import_customers_async:after-commit-close@1" })
    assert.is_true(result.ambiguous > 0)
    local _, err = campaign.forget(result.job)
    assert.equal("usage", err.kind)
    assert.matches("rows are ambiguous", err.message, 1, true)
    assert.is_truthy(core.system.stat(result.ambiguous_file))
    assert(campaign.forget(result.job, { force = true }))
    assert.is_nil(core.system.stat(result.ambiguous_file))
    -- What is still in doubt can be settled from ledger and list; its row files come back with the report.
    local job = assert(campaign.open_job(result.job, given))
    for _, batch in ipairs(job:inspect().doubtful) do
      assert(job:resolve(batch.batch, "applied"))
    end
    assert.equal(0, assert(job:resume()).ambiguous)

    local options = imports.options(LONGLONG, list_of(10))
    local planned = assert(campaign.plan(options))
    _, err = campaign.forget(planned.folder, { all = true, force = true })
    assert.matches("is running", err.message, 1, true)
    assert.same({ "ledger", "locked" }, { err.kind, err.reason })
    planned:close()
    _, err = campaign.forget(planned.folder)
    assert.matches("is planned", err.message, 1, true)
    assert(campaign.forget(planned.folder, { all = true, force = true }))
    assert.is_nil(core.system.stat(planned.folder))
  end)

  it("forgets a job with a damaged ledger only when forced", function()
    local result = run(LONGLONG)
    command.write(result.job .. "/ledger.db", ("\255"):rep(8192))
    local _, err = campaign.forget(result.job)
    assert.equal("ledger", err.kind)
    assert(campaign.forget(result.job, { force = true }))
    assert.same({}, (holders(result.job, all_texts())))
  end)

  it("is a command that says what it removed", function()
    local result = run(LONGLONG)
    local shown = command.campaign{ "forget", result.job }
    assert.equal(0, shown.code, shown.err)
    assert.matches("removed: rejects.csv", shown.out, 1, true)
    shown = command.campaign{ "forget", result.job, "--all", "--json" }
    assert.equal(0, shown.code, shown.err)
    assert.is_true(#json.decode(shown.out).removed >= 4)
    assert.equal(2, command.campaign({ "forget", result.job }).code)
  end)
end)
