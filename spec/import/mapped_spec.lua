-- SPDX-License-Identifier: MIT
-- `map = function(row) ... end`: what the function says is what is sent, once, also after a kill; rows keep the numbers of the list; a fault of the
-- function ends the import before anything is sent and tells nobody's data. The sandbox's log is the oracle.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local lists = require "support.lists"

local LONGLONG = "longlong.import_customers_async"
local TUZHAN = "tuzhan.batch_add_group_relations"
local UPLOAD = "outbound.upload_contacts_file"

local unpack = unpack or table.unpack

local function contains(text, part)
  assert(tostring(text):find(part, 1, true), "'" .. part .. "' is missing in: " .. tostring(text))
end

local function lacks(text, part)
  assert(not tostring(text):find(part, 1, true), "'" .. part .. "' is in: " .. tostring(text))
end

local function bytes_of(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function sent(field)
  local values = {}
  for i, entry in ipairs(imports.commits()) do
    values[i] = entry.row[field or "phone"] or ""
  end
  table.sort(values)
  return values
end

local function names_in(path)
  local names = {}
  for name in require("lfs").dir(path) do
    if name ~= "." and name ~= ".." then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

local PEOPLE = "姓名,手机号,city,consent\n"
  .. "安,+86 138-0000-0001,深圳,yes\n"
  .. "\"张, 三\",13800000002,广州,no\n"
  .. "王,13800000003,深圳\n"
  .. "\n"
  .. "李,(138)00000004,\"北\n京\",yes\n"
  .. "赵,13800000005,,yes\n"

local function tidy(row)
  if row.consent ~= "yes" then
    return nil, "no consent"
  end
  row["手机号"] = row["手机号"]:gsub("^%+86", ""):gsub("[^%d]", "")
  row.extra = "from " .. row.city
end

describe("a function for each row", function()
  setup(function()
    imports.start()
  end)
  teardown(imports.stop)
  before_each(function()
    imports.reset()
  end)

  it("sends what the function made of the rows, and rejects what it refused, under the list's own numbers", function()
    local result = assert(imports.import(LONGLONG, PEOPLE, { map = tidy }))
    imports.assert_balanced(result)
    assert.same({ 5, 3, 2, 7 }, { result.rows, result.accepted_pending, result.rejected, result.exit_code })
    assert.same({ "13800000001", "13800000004", "13800000005" }, sent())
    assert.same({ "from ", "from 北\n京", "from 深圳" }, sent("extra"))
    local rejects, header = imports.read(result.rejects_file)
    assert.same({ "姓名", "手机号 (list)", "city", "consent", "_map", "手机号", "extra" }, { unpack(header, 11) })
    assert.same({ "2", "3", "rejected", "invalid", "map", "", "row 2 (line 3) rejected by map: no consent", "张, 三", "13800000002", "map: no consent",
      "13800000002" }, { rejects[1]._row, rejects[1]._line, rejects[1]._state, rejects[1]._cause, rejects[1]._reason, rejects[1]._column,
      rejects[1]._message, rejects[1]["姓名"], rejects[1]["手机号 (list)"], rejects[1]._map, rejects[1]["手机号"] })
    assert.same({ "3", "4", "width", "row 3 (line 4) has 3 fields, the header has 4" },
      { rejects[2]._row, rejects[2]._line, rejects[2]._reason, rejects[2]._message })
    local proof = assert(campaign.verify(result.job, { account = imports.accounts.longlong }))
    assert.same({}, proof.faults)
    assert.equal(384, core.system.stat(result.job .. "/mapped.csv").mode % 512)
  end)

  it("takes a table as the whole row: nothing else of the list fills a field", function()
    local result = assert(imports.import(LONGLONG, "name,mobile,email\nA,138 0000 0001,a@example.com\nB,,b@example.com\n", {
      map = function(row, number)
        if row.mobile ~= "" then
          return { phone = row.mobile:gsub(" ", ""), name = row.name .. number } -- a table with one value of the two that gsub gives
        end
        return false
      end,
    }))
    imports.assert_balanced(result)
    assert.same({ 1, 1 }, { result.accepted_pending, result.rejected })
    local row = imports.commits()[1].row
    assert.same({ "13800000001", "A1" }, { row.phone, row.name })
    assert(row.email == nil or row.email == "")
    local rejects = imports.read(result.rejects_file)
    assert.same({ "B", "b@example.com", "map: refused by the map function", "row 2 (line 3) rejected by map: refused by the map function" },
      { rejects[1]["name (list)"], rejects[1].email, rejects[1]._map, rejects[1]._message })
  end)

  it("fills parts of fields and columns that came late", function()
    local part = "components.72544970-6cd6-44fd-8fd5-20b625bcbcf4"
    local rows = { "name,phone,level" }
    for i = 1, 5000 do
      rows[#rows + 1] = ("N%d,138%08d,%d"):format(i, i, i % 3)
    end
    local result = assert(imports.import(LONGLONG, table.concat(rows, "\n") .. "\n", {
      map = function(row, number)
        if number > 4990 then
          row[part], row.phone = "L" .. row.level, "139" .. row.phone:sub(4)
        end
      end, mark = false,
    }))
    imports.assert_balanced(result)
    assert.equal(5000, result.accepted_pending)
    local phones = sent()
    assert.same({ "13800000001", "13800004990", "13900004991" }, { phones[1], phones[4990], phones[4991] })
    local parts = 0
    for _, entry in ipairs(imports.commits()) do
      parts = parts + (entry.row.components and #entry.row.components > 0 and 1 or 0)
    end
    assert.equal(10, parts)
  end)

  it("works with unique, suppress, check, split and files", function()
    local dnc = imports.list("phone\n13800000003\n")
    local result = assert(imports.import(TUZHAN, "who,tags\n138-00000001,a|b\n13800000001,c\n13800000003,d\n138,e\n13800000005,f\n", {
      map = function(row)
        row.phone, row.groups = row.who:gsub("-", ""), row.tags:gsub("|", ";") -- two values of gsub: the first of the first, both of the second
      end,
      unique = "phone", suppress = dnc .. ":phone", check = { phone = "mobile_cn" },
    }))
    imports.assert_balanced(result)
    assert.same({ 2, 1, 1, 1 }, { result.accepted, result.duplicate, result.suppressed, result.rejected })
    assert.equal("1", imports.read(result.duplicates_file)[1]._code)
    local uploaded = assert(imports.import(UPLOAD, imports.people(40), { rows_per_file = 10, map = function(row)
      row["姓名"] = row["姓名"] .. "先生"
    end }))
    imports.assert_balanced(uploaded)
    assert.equal(40, uploaded.accepted)
  end)

  it("sees texts in UTF-8 whatever the encoding is, and finds the same rows", function()
    for _, encoding in ipairs({ "gbk", "utf-16le", "utf-8" }) do
      imports.reset()
      local text = assert(core.gbk.encode("姓名;手机号;备注\n张三;13800000001;\"a;b\"\n李四;13800000002;\"q\"\"q\"\n", encoding))
      if encoding == "utf-16le" then
        text = "\255\254" .. text
      end
      local seen = {}
      local result = assert(imports.import(LONGLONG, text, { delimiter = ";", map = function(row)
        seen[#seen + 1] = row["姓名"] .. "/" .. row["备注"]
        row.extra = row["备注"]
      end }))
      assert.same({ "张三/a;b", "李四/q\"q" }, seen)
      assert.equal(2, result.accepted_pending)
      assert.same({ "a;b", "q\"q" }, sent("extra"))
    end
  end)

  it("plans without sending, and without a folder leaves nothing behind", function()
    local function jobs_here() -- a demo may have left some
      return command.run({ "ls", "campaign-jobs" }).out
    end
    local options = imports.options(LONGLONG, PEOPLE, { map = tidy, dry_run = true })
    local before = jobs_here()
    options.job = nil
    local job = assert(campaign.plan(options))
    assert.same({ 5, 3, 2 }, { job.plan.rows, job.plan.sendable, job.plan.rejected })
    assert.equal("138****0001", job.plan.sample[1].fields[2].value)
    job:close()
    assert.equal(before, jobs_here())
    options = imports.options(LONGLONG, PEOPLE, { map = tidy, dry_run = true })
    local planned = assert(campaign.import(options))
    assert.equal("planned", planned.state)
    assert.equal(0, #imports.commits())
    local result = assert(assert(campaign.open_job(options.job, { account = options.account, env = options.env })):resume())
    assert.equal(3, result.accepted_pending)
  end)

  describe("whose function is wrong", function()
    local function refused(map, text, more)
      local options = imports.options(LONGLONG, text or PEOPLE, more)
      options.map = map
      local result, err = campaign.import(options)
      assert.is_nil(result)
      assert.equal(0, #imports.commits())
      assert.is_nil(core.system.stat(options.job), "a folder stayed")
      return err, options
    end

    it("ends before anything is sent, names list, row and line, and tells nobody's data", function()
      local line = debug.getinfo(1, "l").currentline + 2
      local err, options = refused(function(row)
        return row["手机号"] .. nil
      end)
      assert.same({ "usage", "map", "no" }, { err.kind, err.reason, err.sent })
      contains(err.message, options.source .. ", row 1 (line 2): the map function raised at ")
      contains(err.message, "mapped_spec.lua:" .. line .. ": attempt to concatenate")
      err = refused(function(row, number)
        if number == 4 then
          error("cannot do " .. row["手机号"] .. " of " .. row["姓名"] .. " in " .. row.city)
        end
      end)
      contains(err.message, "row 4 (line 6)")
      lacks(err.message, "00000004")
      lacks(err.message, "李")
      lacks(err.message, "北")
      err = refused(function() error({}) end)
      contains(err.message, "mapped_spec.lua:" .. line + 14 .. ": an error that is a table")
    end)

    it("ends so whatever it raises, and what it sees of the process is as it was", function()
      local pause = collectgarbage("setpause", 200)
      for _, metatable in ipairs({ { __metatable = 5 }, { __metatable = true }, { __tostring = function() error("13800000001") end },
        { __tostring = function() return {} end }, { __index = error } }) do
        local err = refused(function() error(setmetatable({}, metatable)) end)
        assert.same({ "usage", "map", "no" }, { err.kind, err.reason, err.sent })
        contains(err.message, "an error that is a table")
      end
      contains(refused(function() error(setmetatable({}, { __tostring = function() return "so it is" end })) end).message, ": so it is")
      local err = refused(function() error("interrupted! by 13800000001") end)
      assert.equal("map", err.reason)
      assert.equal(200, collectgarbage("setpause", pause))
    end)

    it("is told which columns there are", function()
      contains(refused(function(row) return row.phone end).message, 'the list has no column "phone"; it has "姓名", "手机号", "city", "consent"')
      contains(refused(function(row) return row[5] end).message, "the list has 4 columns")
      contains(refused(function(row) return row[1.5] end).message, "the list has 4 columns")
      contains(refused(function(row) row[9] = "x" end).message, "the list has 4 columns")
      contains(refused(function(row) return row[true] end).message, "a field of a row has a name or a number, not a boolean")
    end)

    it("is told what it may return and set", function()
      contains(refused(function() return "yes" end).message, "the map function returned a string; it returns nothing, a table of fields")
      contains(refused(function() return 1 end).message, "the map function returned a number")
      contains(refused(function() return nil, {} end).message, "the map function returned a table as reason, not a text")
      contains(refused(function() return { "x" } end).message, "a table with a number as key; fields have names")
      contains(refused(function(row) row.city = {} end).message, 'column "city": a table cannot be a field; give a text, a number')
      contains(refused(function(row) row.city = 0 / 0 end).message, 'column "city": this number has no digits')
      contains(refused(function(row) row.city = ("x"):rep(2000000) end).message, "take more than 1048576 bytes")
      contains(refused(function(row) row["a\nb"] = 1 end).message, "must not contain control characters")
      contains(refused(function(row) row[""] = 1 end).message, "a text in UTF-8 of 1 to 200 bytes")
      contains(refused(function(row) for i = 1, 5000 do row["c" .. i] = 1 end end).message, "the function created too many")
      contains(refused(function(_, number) if number == 1 then return { phone = "1" } end end).message,
        "row 2 (line 3): the map function returned no table, but did for earlier rows")
      contains(refused(function(_, number) if number > 1 then return { phone = "1" } end end).message,
        "row 2 (line 3): the map function returned a table, but not for earlier rows")
    end)

    it("is told of names that go nowhere", function()
      local err = refused(function(row) row.phon = row["手机号"] end)
      contains(err.message, 'map: the function created "phon", which is not used')
      contains(err.message, '"phone"')
      contains(refused(function(row) return { phone = row["手机号"], city = row.city } end).message, 'created "city", which is not used')
    end)

    it("cannot keep a row", function()
      local kept
      imports.import(LONGLONG, PEOPLE, { map = function(row) kept = row end, on_progress = function()
        if kept then
          assert(not pcall(function() return kept.city end))
        end
      end })
      local ok, problem = pcall(function() return kept.city end)
      assert(not ok)
      contains(problem, "this row is over")
      assert(not pcall(function() kept.city = "x" end))
      assert(not pcall(function() return #kept end))
      assert.equal("campaign.row (over)", tostring(kept))
      assert.equal("campaign.row", getmetatable(kept))
    end)

    it("is refused where it is none, and where a job has its mapped list already", function()
      assert(not pcall(campaign.import, imports.options(LONGLONG, PEOPLE, { map = "x" })))
      assert(not pcall(campaign.import, imports.options(LONGLONG, PEOPLE, { mapped = {} })))
      local options = imports.options(LONGLONG, PEOPLE, { map = tidy })
      local job = assert(campaign.plan(options))
      job:close()
      local again = assert(campaign.open_job(options.job, { account = options.account, env = options.env }))
      local result, err = again:resume{ map = tidy }
      assert.is_nil(result)
      contains(err, "its function is not called again")
    end)
  end)

  it("calls the function once for each well-formed row, in their order", function()
    local numbers = {}
    local result = assert(imports.import(LONGLONG, PEOPLE, { map = function(row, number)
      numbers[#numbers + 1] = number .. row["姓名"]
      return row
    end }))
    assert.same({ "1安", "2张, 三", "4李", "5赵" }, numbers)
    assert.equal(5, result.rows)
  end)

  it("lets the function yield, and import something else", function()
    local order, inner = {}, nil
    local thread = coroutine.create(function()
      return imports.import(LONGLONG, PEOPLE, { map = function(row, number)
        order[#order + 1] = row.city
        coroutine.yield(number)
        order[#order + 1] = row.city
        if number == 1 then
          inner = assert(imports.import(LONGLONG, "name,phone\nX,13911111111\n", { map = function(other) other.name = row["姓名"] end }))
        end
        row.extra = row.city
      end })
    end)
    local ok, value = coroutine.resume(thread)
    local yields = 0
    while coroutine.status(thread) ~= "dead" do
      assert(ok, value)
      yields = yields + 1
      ok, value = coroutine.resume(thread)
    end
    assert(ok, value)
    assert.equal(4, yields)
    assert.equal(1, inner.accepted_pending)
    assert.same({ "深圳", "深圳", "广州", "广州", "北\n京", "北\n京", "", "" }, order)
    assert.equal(4, value.accepted_pending)
  end)

  it("leaves a folder alone that another import took while the function looked at rows", function()
    local folder, taken = imports.job(), nil
    local options = imports.options(LONGLONG, "phone\n13800000001\n", { job = folder, map = function()
      assert(imports.import(LONGLONG, "phone\n13800000002\n", { job = folder, map = function() end }))
      taken = bytes_of(folder .. "/job.json")
    end })
    local result, err = campaign.import(options)
    assert.is_nil(result)
    contains(err, "an import was begun in it already")
    assert.equal(taken, bytes_of(folder .. "/job.json"))
    assert.same({ "13800000002" }, sent())
    assert.same({}, assert(campaign.verify(folder, { account = imports.accounts.longlong })).faults)
  end)

  it("takes a folder in which a process died while it wrote a list that had a name already", function()
    local folder = imports.job()
    assert(core.system.make_dirs(folder, 448))
    lists.write(folder .. "/.campaign-0123456789abcdef.tmp", "phone\n")
    local result = assert(imports.import(LONGLONG, "phone\n13800000001\n", { job = folder, map = function() end }))
    assert.equal(1, result.accepted_pending)
    assert(campaign.forget(folder))
    assert.is_nil(core.system.stat(folder .. "/.campaign-0123456789abcdef.tmp"))
  end)

  it("writes numbers so that nothing is lost", function()
    local values = { 1, -7, 0, 2 ^ 53, 9007199254740993, 0.1, 1e300, 1 / 3, -2.5, true, false }
    local wanted = { "1", "-7", "0", "9007199254740992", nil, "0.1", "1e+300", "0.3333333333333333", "-2.5", "true", "false" }
    wanted[5] = _VERSION ~= "Lua 5.1" and "9007199254740993" or "9007199254740992"
    local rows = { "name,phone" }
    for i = 1, #values do
      rows[#rows + 1] = ("N,138%08d"):format(i)
    end
    assert(imports.import(LONGLONG, table.concat(rows, "\n") .. "\n", { rows_per_call = 100, map = function(row, number)
      row.extra = values[number]
      assert(row.extra == wanted[number], row.extra)
      row.name = nil
      assert(row.name == "")
    end }))
    local found = {}
    for i, entry in ipairs(imports.commits()) do
      found[i] = entry.row.extra
    end
    assert.same(wanted, found)
  end)

  it("leaves a row alone whose values are hostile", function()
    local text = "name,phone,x\n\"a\"\"b\",13800000001,\"l1\nl2\"\n\"q\"r,13800000002,y\nn\0l,13800000003,z\n\255bad,13800000004,z\n"
      .. "a,b,c,d,e,f\nok,13800000005,\"\"\n"
    for _, made in ipairs({ false, true }) do
      imports.reset()
      local result = assert(imports.import(LONGLONG, text, { encoding = "utf-8", map = function(row)
        local name = row.name
        if made then
          return { name = name, phone = row.phone, extra = row.x }
        end
        row.extra = row.x
      end }))
      imports.assert_balanced(result)
      assert.same({ 2, 4 }, { result.accepted_pending, result.rejected })
      local reasons = {}
      for i, row in ipairs(imports.read(result.rejects_file)) do
        reasons[i] = row._row .. " " .. row._reason
      end
      assert.same({ "2 quote", "3 nul", "4 encoding", "5 width" }, reasons)
      assert.same({ "a\"b", "ok" }, sent("name"))
      assert.same({}, assert(campaign.verify(result.job, { account = imports.accounts.longlong })).faults)
    end
    -- What the function sets is looked at like any other value.
    local result = assert(imports.import(LONGLONG, "name,phone\na,13800000001\nb,13800000002\nc,13800000003\n", { map = function(row, number)
      row.extra = number == 1 and "a\0b" or number == 2 and "\255\254" or "fine"
    end }))
    assert.same({ 1, 2 }, { result.accepted_pending, result.rejected })
  end)

  it("refuses lists without rows, and files that are none", function()
    local function no() error("called") end
    local _, err = imports.import(LONGLONG, "name,phone\n", { map = no })
    contains(err, "has a header line and no rows")
    _, err = imports.import(LONGLONG, "", { map = no })
    contains(err, "the file is empty")
    _, err = imports.import(LONGLONG, "name,phone\na,\"138\n", { map = function() end })
    contains(err, "is never closed")
  end)

  describe("afterwards", function()
    it("resumes without the function, from the mapped list", function()
      imports.reset({ "import_customers_async:404@2-" })
      local rows = { "name,phone" }
      for i = 1, 30 do
        rows[#rows + 1] = ("N%d,138 %08d"):format(i, i)
      end
      local calls = 0
      local options = imports.options(LONGLONG, table.concat(rows, "\n") .. "\n", { rows_per_call = 10, attempts = 1, concurrency = 1,
        map = function(row)
          calls = calls + 1
          row.phone = row.phone:gsub(" ", "")
        end })
      local first = assert(campaign.import(options))
      assert.same({ 10, 20, 30 }, { first.accepted_pending, first.pending, calls })
      imports.reset()
      local job = assert(campaign.open_job(first.job, { account = options.account, env = options.env }))
      local result = assert(job:resume())
      imports.assert_balanced(result)
      assert.same({ 30, 30 }, { result.accepted_pending, calls })
      assert.equal("13800000030", sent()[20])
    end)

    it("refuses to resume when the list, or the mapped one, has changed", function()
      local options = imports.options(LONGLONG, PEOPLE, { map = tidy })
      assert(campaign.plan(options)):close()
      local function resume()
        return assert(campaign.open_job(options.job, { account = options.account, env = options.env })):resume()
      end
      lists.write(options.source, PEOPLE .. "x,1,2,yes\n")
      local _, err = resume()
      contains(err, options.source .. " has changed since the job was planned")
      lists.write(options.source, PEOPLE)
      local mapped = options.job .. "/mapped.csv"
      local text = bytes_of(mapped)
      lists.write(mapped, text .. "x\n")
      _, err = resume()
      contains(err, "has changed since the job was planned")
    end)

    it("goes on since such a job, and sends mended rows again as they stand", function()
      local first = assert(imports.import(LONGLONG, PEOPLE, { map = tidy }))
      local mended = bytes_of(first.rejects_file):gsub("map: no consent", ""):gsub(",13800000002,from", ",13800000092,from")
      lists.write(first.rejects_file, mended)
      local again = { account = imports.accounts.longlong, env = imports.env() }
      local retried = assert(campaign.retry(first.job, again))
      assert.same({ 1, 0 }, { retried.accepted_pending, retried.rejected })
      assert.equal("13800000002", imports.commits()[4].row.phone)
      assert.same({}, assert(campaign.verify(first.job)).faults)
      local second = assert(imports.import(LONGLONG, PEOPLE .. "新,138-0000-0009,上海,yes\n", { map = tidy, since = first.job }))
      assert.same({ 3, 1, 2 }, { second.unchanged, second.accepted_pending, second.rejected })
    end)

    it("keeps rows rejected on a retry until the mark of the function is taken out", function()
      local first = assert(imports.import(LONGLONG, PEOPLE, { map = tidy }))
      lists.write(first.rejects_file, (bytes_of(first.rejects_file):gsub("张, 三", "张三")))
      local retried = assert(campaign.retry(first.job, { account = imports.accounts.longlong, env = imports.env() }))
      assert.same({ 0, 1 }, { retried.accepted_pending, retried.rejected })
      contains(imports.read(retried.rejects_file)[1]._message, "rejected by map: no consent")
    end)

    it("has a damaged ledger made anew from the mapped list, which stays", function()
      local options = imports.options(LONGLONG, PEOPLE, { map = tidy, rows_per_call = 1 })
      local first = assert(campaign.import(options))
      local before, path = bytes_of(first.job .. "/mapped.csv"), first.job .. "/ledger.db"
      lists.write(path, ("\255"):rep(4096) .. bytes_of(path):sub(4097))
      local given = { account = options.account, env = options.env }
      local recovered = assert(campaign.recover(first.job, given))
      assert.same({ 3, 2, 5 }, { recovered.kept + recovered.ambiguous, recovered.result.rejected, recovered.result.rows })
      imports.assert_balanced(recovered.result)
      assert.equal(before, bytes_of(first.job .. "/mapped.csv"))
      assert.equal(3, #imports.commits())
      contains(imports.read(recovered.result.rejects_file)[1]._message, "rejected by map: no consent")
    end)

    it("keeps rows that were listed apart when their file was edited", function()
      local options = imports.options(LONGLONG, PEOPLE, { map = tidy })
      assert(campaign.plan(options)):close()
      lists.write(options.job .. "/rejects.csv", "mended\n")
      local result = assert(assert(campaign.open_job(options.job, { account = options.account, env = options.env })):resume())
      imports.assert_balanced(result)
      assert.same({ 3, 2 }, { result.accepted_pending, result.rejected })
      assert.same({ "map", "map: no consent" }, { imports.read(result.rejects_file)[1]._reason, imports.read(result.rejects_file)[1]._map })
    end)

    it("is forgotten with the mapped list", function()
      local result = assert(imports.import(LONGLONG, PEOPLE, { map = tidy }))
      local forgotten = assert(campaign.forget(result.job))
      contains(table.concat(forgotten.removed, " "), "mapped.csv")
      assert.is_nil(core.system.stat(result.job .. "/mapped.csv"))
      for _, name in ipairs(names_in(result.job)) do
        local text = bytes_of(result.job .. "/" .. name)
        lacks(text, "13800000001")
        lacks(text, "no consent")
      end
    end)
  end)
end)
