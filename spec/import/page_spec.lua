-- SPDX-License-Identifier: MIT
-- report.html: what it says of jobs that ended in every way, that nothing of a list can become markup in it, that it fetches nothing, and that a
-- page that cannot be written harms no job. A browser reads it where Debian's is installed.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local json = require "campaign.json"

local LONGLONG = "longlong.import_customers_async"

-- Elements that stand alone, and all others that the page may have.
local VOID = { meta = true, input = true }
local KNOWN = {}
for name in ("html head title style body label main header h1 h2 p section strong ol ul li pre code div table caption thead tbody tfoot tr th td i "
  .. "span tspan bdi a svg text line rect path figure figcaption details summary dl dt dd"):gmatch("%S+") do
  KNOWN[name] = true
end

-- Fails where the markup is not balanced or has what we do not write.
local function check_markup(page)
  local body = page:gsub("<!DOCTYPE html>", "", 1):gsub("<style>.-</style>", "", 1)
  local open = {}
  for closing, name, rest in body:gmatch("<(/?)([%a%d]*)([^>]*)>") do
    assert(VOID[name] or KNOWN[name], "<" .. closing .. name .. rest .. ">")
    assert(not rest:find("%f[%a]on%a+=") and not rest:find("style=", 1, true), rest)
    if closing == "/" then
      assert.equal(table.remove(open), name)
    elseif not VOID[name] and rest:sub(-1) ~= "/" then
      open[#open + 1] = name
    end
  end
  assert.same({}, open)
  for address in body:gmatch("href=\"([^\"]*)\"") do
    assert(address:find("^[%w_./-]+$") and not address:find("//", 1, true), address)
  end
  assert.falsy(body:find("src=", 1, true) or body:find("url(", 1, true))
end

-- The page as somebody sees it who reads English.
local function seen(page)
  local text = page:gsub("<style>.-</style>", ""):gsub("<(t?span) lang=\"zh%-CN\">.-</%1>", ""):gsub("<[^>]*>", " ")
  return (text:gsub("%s+", " "):gsub("&lt;", "<"):gsub("&gt;", ">"):gsub("&quot;", '"'):gsub("&#39;", "'"):gsub("&amp;", "&"))
end

local function read(path)
  assert.equal(384, core.system.stat(path).mode)
  local page = command.read(path)
  check_markup(page)
  return seen(page), page
end

local function has(text, ...)
  for _, part in ipairs({ ... }) do
    assert(text:find(part, 1, true), "'" .. part .. "' is missing in: " .. text:sub(1, 3000))
  end
end

local function made(result)
  return assert(assert(campaign.open_job(result.job)):report())
end

describe("report.html", function()
  setup(function()
    imports.start()
  end)
  teardown(imports.stop)
  before_each(function()
    imports.reset()
  end)

  it("says of a finished job that it is, shows counts that add up and why rows were left out, and links to their files", function()
    local options = imports.options(LONGLONG, imports.people(100, function(i)
      return i <= 3 and "c-3,王小明,,\"甲,乙\",z" or i == 9 and "c-9,张三,1380000000x,甲,z" or nil
    end), { check = { phone = "mobile_cn" }, rows_per_call = 10 })
    local result = assert(campaign.import(options))
    assert.equal(result.job .. "/report.html", made(result))
    assert.equal(result.job .. "/report.html", assert(campaign.open_job(result.job)).result.page_file)
    local text, page = read(result.job .. "/report.html")
    has(text, "Finished: 96 of 100 rows are accepted", "campaign retry " .. result.job, "The states add up to the rows of the list.",
      "rejected 4 4.00 %", "accepted, result pending 96 96.00 %", "Rows of the list 100", "check ( mobile_cn )", "required", "Run 1:", LONGLONG)
    has(page, '<a href="rejects.csv">rejects.csv</a>', "已完成")
    for name in page:gmatch("href=\"([^\"]+)\"") do
      assert(core.system.stat(result.job .. "/" .. name), name)
    end
    for _, private in ipairs({ "王小明", "张三", "13800000001", imports.accounts.longlong.token }) do
      assert.falsy(page:find(private, 1, true), private)
    end
  end)

  it("names the characters that the target lacks, and shares that add up in large lists", function()
    local result = assert(imports.import("outbound.upload_contacts_file", imports.people(1000, function(i)
      return i <= 7 and ("c-%d,䶮小明,1380000000%d,甲,z"):format(i, i) or nil
    end)))
    has(read(made(result)), "unmappable ( U+4DAE 䶮 ) 姓名", "accepted 993 99.30 %", "rejected 7 0.70 %")
  end)

  it("allows nothing to be fetched or run, and its own style by its digest", function()
    local result = assert(imports.import(LONGLONG, imports.people(3)))
    local _, page = read(made(result))
    local policy = page:match('Content%-Security%-Policy" content="([^"]*)"')
    local style = page:match("<style>(.-)</style>")
    assert.equal("default-src 'none'; style-src 'sha256-" .. core.digest.base64_encode(core.digest.of("sha256", style))
      .. "'; base-uri 'none'; form-action 'none'", policy)
    assert.falsy(style:find("@import", 1, true) or style:find("url(", 1, true))
    has(seen(page), "Finished: 3 rows were sent and taken over")
  end)

  it("shows names of columns for what they are: markup, quotes, characters that turn the line, numbers of people", function()
    local evil = { "</title></script><script>alert(1)</script>", "\"onload='x'&amp;", "a\226\128\174b\226\129\166c\239\187\191", "13800138000" }
    local head = {}
    for i, name in ipairs(evil) do
      head[i] = '"' .. name:gsub('"', '""') .. '"'
    end
    for i, name in ipairs(evil) do
      local result = assert(imports.import(LONGLONG, "phone,name," .. table.concat(head, ",") .. "\n13800000001,A,1,1,1,1\n13800000002,B,1,1,1,1\n",
        { check = { [name] = "email" } }))
      assert.same({ 2, name }, { result.rejected, result.reasons[1].column })
      local text, page = read(made(result))
      assert.falsy(page:find(name, 1, true))
      has(text, ({ evil[1], evil[2], "a[U+202E]b[U+2066]c[U+FEFF]", "138******00" })[i], "has taken none of the 2 rows")
    end
  end)

  it("says of rows in doubt so, with the evidence, and what to do; an order that is carried out withdraws it, a refused one does not", function()
    imports.reset({ "import_customers_async:after-commit-close@2" })
    local result = assert(imports.import(LONGLONG, imports.people(30), { rows_per_call = 10, concurrency = 1, attempts = 1 }))
    assert.equal(10, result.ambiguous)
    local text, page = read(made(result))
    has(text, "In doubt: of 10 rows nobody knows yet", ("campaign resolve %s --batch 2 --as applied"):format(result.job), "Batches in doubt",
      "--callbacks DIR")
    assert.falsy(text:find("--probe", 1, true)) -- this platform cannot be asked
    local job = assert(campaign.open_job(result.job))
    assert.is_nil(job:resolve(1, "applied"))
    assert.equal(page, command.read(result.job .. "/report.html")) -- as it was, not made again
    assert(job:resolve(2, "applied"))
    assert.is_nil(core.system.stat(result.job .. "/report.html"))
    assert.falsy(read(made(result)):find("In doubt", 1, true))
  end)

  it("tells why a job stopped, and after it went on of both runs", function()
    imports.reset({ "import_customers_async:403@3-" })
    local options = imports.options(LONGLONG, imports.people(50), { rows_per_call = 10, concurrency = 1 })
    local result = assert(campaign.import(options))
    assert.same({ "stopped", 30 }, { result.state, result.pending })
    local text, page = read(made(result))
    has(text, "Stopped: 20 rows are accepted, 30 rows were provably not sent.", "Why: " .. tostring(result.error.message),
      "campaign resume " .. result.job)
    has(page, 'href="not_sent.csv"')
    imports.reset()
    result = assert(assert(campaign.open_job(result.job, { account = imports.accounts.longlong, env = imports.env() })):resume())
    assert.equal("finished", result.state)
    has(read(made(result)), "Finished: 50 rows were sent", "Run 1:", "Run 2:")
  end)

  it("of a plan says that nothing was sent, with the notes", function()
    local folder = imports.folder()
    local result = assert(imports.import(LONGLONG, "phone,name\n1.38E+10,A\n13800000002,B\n", { dry_run = true, job = folder .. "/job" }))
    has(read(made(result)), "Planned: nothing has been sent.", "campaign resume", "1.38E+10: a spreadsheet has rounded them",
      "No call has ended yet.")
    imports.remove(folder)
  end)

  it("is made of the ledger alone of a job whose process was killed, and not while one has it", function()
    local running = assert(campaign.plan(imports.options(LONGLONG, imports.people(30), { rows_per_call = 10 })))
    local done = command.campaign{ "report", running.folder }
    assert.same({ 8, "" }, { done.code, done.out })
    has(done.err, "ledger")
    running:close()
    done = command.campaign{ "report", running.folder, "--lang", "zh", "--json" }
    assert.same({ 0, "" }, { done.code, done.err })
    local told = assert(json.decode(done.out))
    local text, page = read(told.report)
    has(text, "Planned: nothing has been sent. 30 of 30 rows")
    has(page, '<html lang="zh-CN">', 'id="zh" checked')
  end)

  it("says of a job whose process died that it was interrupted, and how to go on", function()
    imports.reset({ "import_customers_async:403@3-" })
    local result = assert(imports.import(LONGLONG, imports.people(50), { rows_per_call = 10, concurrency = 1 }))
    os.remove(result.report_file)
    assert.equal(0, command.run({ "sqlite3", result.job .. "/ledger.db", "UPDATE job SET state = 'running'" }).code)
    has(read(made(result)), "Interrupted: the process ended before the job did. 20 rows are accepted, 30 rows were provably not sent.",
      "campaign resume " .. result.job)
  end)

  it("elsewhere than in the job folder has no links to files that are not beside it", function()
    local result = assert(imports.import(LONGLONG, imports.people(3)))
    local folder = imports.folder()
    local done = command.campaign{ "report", result.job, "-o", folder .. "/r.html" }
    assert.same({ 0, folder .. "/r.html\n" }, { done.code, done.out })
    local _, page = read(folder .. "/r.html")
    assert.falsy(page:find("href=", 1, true))
    local refused = command.campaign{ "report", result.job, "-o", folder .. "/no/such/r.html" }
    assert.same({ 2, "campaign: " .. folder .. "/no/such/r.html: No such file or directory\n" }, { refused.code, refused.err })
    assert.equal(2, command.campaign{ "report", folder }.code)
    imports.remove(folder)
  end)

  it("is made by the command at the end of a job, which is as it is where the page cannot be written", function()
    local folder = imports.folder()
    local list = command.write(folder .. "/list.csv", imports.people(30))
    local env = { CAMPAIGN_LONGLONG_BASE_URL = imports.accounts.longlong.base_url, CAMPAIGN_LONGLONG_TOKEN = imports.accounts.longlong.token,
      CAMPAIGN_LONGLONG_USER_ID = imports.accounts.longlong.user_id }
    imports.reset({ "import_customers_async:403@2-" })
    local words = { "import", list, "--to", LONGLONG, "--job", folder .. "/job", "--rows-per-call", "10", "--concurrency", "1" }
    local done = command.campaign(words, { env = env })
    assert.equal(6, done.code, done.err)
    has(done.out, "report: " .. folder .. "/job/report.html")
    has(read(folder .. "/job/report.html"), "Stopped: 10 rows are accepted, 20 rows were provably not sent.")
    imports.reset()
    os.remove(folder .. "/job/report.html")
    assert(core.system.make_dirs(folder .. "/job/report.html/taken"))
    done = command.campaign({ "resume", folder .. "/job" }, { env = env })
    assert.equal(0, done.code, done.err)
    assert.falsy(done.out:find("report.html", 1, true))
    assert.same({}, assert(campaign.verify(folder .. "/job")).faults)
    imports.remove(folder)
  end)

  it("stays where the rows are forgotten, and says that they are", function()
    local result = assert(imports.import(LONGLONG, imports.people(5, function(i) return i == 2 and "c,B,,x,y" or nil end)))
    assert(campaign.forget(result.job, { force = true }))
    local page = command.read(made(result))
    has(seen(page), "The personal data of this job was erased")
    assert.falsy(page:find("rejects.csv\"", 1, true))
  end)

  it("is as small for a hundred thousand calls, many reasons and many batches in doubt #heavy", function()
    local result = assert(imports.import(LONGLONG, imports.people(3)))
    local done = command.run({ "sqlite3", result.job .. "/ledger.db", [[
      WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 100099)
        INSERT INTO batch (seq, state, attempts, offset, bytes, first_row, first_line, rows, accepted, body_bytes)
        SELECT i, iif(i % 100, 'A', 'U'), 1, 0, 0, i * 100, i * 100, 100, 100, 0 FROM n;
      INSERT INTO attempt (id, batch, number, fence, owner, began, ended, verdict, cause, status, seconds)
        SELECT seq * 1048576 + 1, seq, 1, 1, 'x', 1700000000 + seq * 0.1, 1700000000.2 + seq * 0.1, iif(state = 'A', 'accepted', 'ambiguous'),
          iif(state = 'A', NULL, 'no_answer'), 200, 0.01 + (seq % 97) / 50.0 FROM batch WHERE seq >= 100;
      INSERT INTO row_result (row, state, cause, col, reason, code)
        SELECT seq, 'rejected', 'invalid', 'c' || (seq % 3000), 'check', 'x' || (seq % 7) FROM batch WHERE seq >= 100;]] })
    assert.same({ 0, "" }, { done.code, done.err })
    os.remove(result.report_file)
    local text, page = read(made(result))
    has(text, "other reasons", "900 more batches are in doubt", "100,001")
    assert(#page < 250000, #page)
  end)

  it("is read by a browser, which has nothing to complain about #heavy", function()
    local browser = command.run({ "sh", "-c", "command -v chromium" }).out:match("%S+")
    if not browser then
      return pending("needs Debian's package chromium")
    end
    local result = assert(imports.import(LONGLONG, imports.people(30, function(i) return i == 2 and "c,B,,x,y" or nil end), { rows_per_call = 10 }))
    local folder = imports.folder()
    local done = command.run({ browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" .. folder .. "/profile",
      "--enable-logging=stderr", "--window-size=900,1600", "--screenshot=" .. folder .. "/page.png", "file://" .. made(result) },
      { env = { HOME = folder }, seconds = 50 })
    assert.equal(0, done.code)
    assert(core.system.stat(folder .. "/page.png").size > 20000)
    assert.falsy(done.err:find("Content Security Policy", 1, true) or done.err:find("Refused", 1, true), done.err)
    imports.remove(folder)
  end)
end)
