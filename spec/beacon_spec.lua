-- SPDX-License-Identifier: MIT
-- A fifth platform with the habits that many vendors have, from its data alone, against a server that knows nothing of that data: signed calls,
-- refused rows named by number or value, lists by a cursor or an offset.

local campaign = require "campaign"
local check = require "campaign.api.check"
local command = require "spec.support.command"
local core = require "campaign.core"
local lists = require "spec.support.lists"
local platforms = require "campaign.api.platform"

local PATH = "./examples/platforms/beacon.lua"

local function rows_of(path)
  local rows, header = {}, nil
  for _, record in ipairs(path and lists.parse(command.read(path), ",", nil) or {}) do
    if not header then
      header = record.fields
    else
      local row = {}
      for i, name in ipairs(header) do
        row[name] = record.fields[i]
      end
      rows[#rows + 1] = row
    end
  end
  return rows
end

describe("a platform with signed calls, whose answers say what is wrong with each row", function()
  local server, account, folder, jobs

  setup(function()
    folder, jobs = command.folder(), 0
    server = assert(core.system.spawn{ command.LUA == "5.4" and "lua5.4" or "luajit", "spec/support/beacon_server.lua", pipe = true })
    account = { base_url = "http://127.0.0.1:" .. assert(server:read_line(30)), app_key = "app-1", app_secret = "S-3cret" }
  end)
  teardown(function()
    server:close()
    command.remove(folder)
  end)

  local function import(operation, text, more)
    jobs = jobs + 1
    local options = { source = command.write(folder .. "/list" .. jobs .. ".csv", text), to = PATH .. "." .. operation, account = account,
      job = folder .. "/job" .. jobs }
    for name, value in pairs(more or {}) do
      options[name] = value
    end
    return assert(campaign.import(options))
  end

  local AUTUMN = { params = { group = "autumn" } }

  it("is called with signatures, of which a server finds by itself that they are right", function()
    local client = assert(campaign.connect(PATH, account))
    for _, label in ipairs({ "VIP & 老客户", "a=b", "{secret}", "+ %20" }) do
      assert(client:tag_contact{ mobile = "13000001111", label = label })
      assert(client:tag_contact{ mobile = "13000001111", label = label, note = "" })
    end
    assert(client:list_contacts{ cursor = "after=0+" })
    client:close()
    for key, value in pairs({ app_secret = "S-4cret", app_key = "app-2" }) do
      local other = { base_url = account.base_url, app_key = account.app_key, app_secret = account.app_secret }
      other[key] = value
      client = assert(campaign.connect(PATH, other))
      for _, call in ipairs({ { "list_contacts", {} }, { "list_records", {} } }) do
        local reply, err = client:call(call[1], call[2])
        assert.is_nil(reply)
        assert.same({ "auth", 401 }, { err.kind, err.status })
      end
      client:close()
    end
  end)

  it("is described with its signatures", function()
    local result = command.campaign({ "operations", PATH, "--format", "tsv" })
    assert.matches("list_records\tGET\t/open/records\tsignature:md5", result.out, 1, true)
    result = command.campaign({ "openapi", PATH })
    assert.matches('"name": "sign"', result.out, 1, true)
    assert.matches("{secret}{params}{secret}", result.out, 1, true)
    result = command.campaign({ "describe", PATH, "--format", "markdown" })
    assert.matches("`signature:hmac-sha256`", result.out, 1, true)
    assert.matches("`cursor` is what `data.next` of the page before says", result.out, 1, true)
  end)

  it("rejects rows that it names by their number, each with its reason and code, and accepts the others", function()
    local result = import("import_contacts", "name,mobile\n王芳,13000001111\nblocked,13000001112\nbad,130\nsame,13000001113\n"
      .. "李雷,13000001114\nblocked too,13000001115\n", AUTUMN)
    assert.same({ 2, 4, 0, 7 }, { result.accepted, result.rejected, result.ambiguous, result.exit_code })
    local rows = rows_of(result.rejects_file)
    local found = {}
    for _, row in ipairs(rows) do
      found[row._row] = { row._cause, row._reason, row._code, row._message }
    end
    assert.same({ "platform", "refused", "E102", "number *** may not be called" }, found["2"])
    assert.same({ "platform", "refused", "E103", "is in the group already" }, found["4"])
    assert.same({ "platform", "refused", "E102", "number *** may not be called" }, found["6"])
    assert.equal("invalid", found["3"][1])
    local codes = {}
    for _, reason in ipairs(result.reasons) do
      codes[reason.code or ""] = reason.count
    end
    assert.equal(2, codes.E102)
    assert.equal(1, codes.E103)
  end)

  it("keeps each row's reason over a new start of the report, without the row's own values", function()
    local result = import("import_contacts", "name,mobile\nblocked,13000001112\n王芳,13000001111\nsame,13000001113\n", AUTUMN)
    local before = command.read(result.rejects_file)
    os.remove(result.rejects_file)
    os.remove(result.job .. "/report.json")
    local again = assert(assert(campaign.open_job(result.job, { account = account })):resume())
    assert.equal(before, command.read(again.rejects_file))
    assert.same(result.reasons, again.reasons)
    for _, name in ipairs({ "ledger.db", "batches.jsonl", "report.json" }) do
      assert.is_nil(command.read(result.job .. "/" .. name):find("13000001112", 1, true), name)
    end
    local verified = command.campaign({ "verify", result.job })
    assert.equal(0, verified.code, verified.out .. verified.err)
  end)

  it("keeps them too when no row was taken over, and in every batch", function()
    local result = import("import_contacts", "name,mobile\nblocked,13000001112\nsame,13000001113\n", AUTUMN)
    assert.same({ 0, 2, 5 }, { result.accepted, result.rejected, result.exit_code })
    assert.equal("E102", rows_of(result.rejects_file)[1]._code)
    local lines = { "name,mobile" }
    for i = 1, 2500 do
      lines[#lines + 1] = (i % 100 == 7 and "blocked" or "x") .. (",1300001%04d"):format(i)
    end
    result = import("import_contacts", table.concat(lines, "\n") .. "\n", AUTUMN)
    assert.same({ 2475, 25, 0 }, { result.accepted, result.rejected, result.ambiguous })
    for i, row in ipairs(rows_of(result.rejects_file)) do
      assert.same({ ("%d"):format(i * 100 - 93), "E102" }, { row._row, row._code })
    end
  end)

  it("is held to the limits of its row fields by an import as by a single call", function()
    local platform = assert(platforms.load(PATH))
    local operation = platform.operations.import_contacts
    local names = { "name", "mobile", "age", "balance", "remind_at" }
    local rows = {
      { "王芳", "13000001111", "1", "-0.5", "2026-01-01 09:30:00" }, { "王芳", "13000001111", "150", "99999.5", "" },
      { "王芳", "13000001111", "0", "", "" }, { "王芳", "13000001111", "151", "", "" }, { "王芳", "13000001111", "-1", "", "" },
      { "王芳", "13000001111", "", "-0.51", "" }, { "王芳", "13000001111", "", "1e5", "" }, { "王芳", "13000001111", "", "", "2026-01-01 09:30:01" },
      { " ", "13000001111", "", "", "" }, { "\t", "13000001111", "", "", "" }, { "", "13000001111", "", "", "" },
    }
    local lines, refused = { table.concat(names, ",") }, {}
    for i, values in ipairs(rows) do
      lines[#lines + 1] = table.concat(values, ",")
      local contact = {}
      for place, name in ipairs(names) do
        local is_number = name == "age" or name == "balance"
        contact[name] = (values[place] ~= "" or name == "name") and (is_number and tonumber(values[place]) or values[place]) or nil
      end
      local well = check.fields(platform, operation, { group = "g", contacts = { contact } }, account, {})
      refused[#refused + 1] = not well and tostring(i) or nil
    end
    assert.equal(9, #refused)
    local result = import("import_contacts", table.concat(lines, "\n") .. "\n", AUTUMN)
    local found, reasons = {}, {}
    for i, row in ipairs(rows_of(result.rejects_file)) do
      found[i], reasons[i] = row._row, row._reason
    end
    assert.same(refused, found)
    assert.same({ "too_low", "too_high", "too_low", "too_low", "too_high", "check", "blank", "blank", "required" }, reasons)
    assert.equal(2, result.accepted)
    local nothing, err = campaign.plan{ source = command.write(folder .. "/one.csv", "name,mobile\na,13000001111\n"),
      to = PATH .. ".import_contacts", account = account, params = { group = "g" }, set = { age = 151 }, dry_run = true }
    assert.is_nil(nothing)
    assert.matches("too_high", tostring(err), 1, true)
  end)

  for _, name in ipairs({ "lies", "twice", "silence" }) do
    it("leaves a batch in doubt whose answer contradicts itself: " .. name, function()
      local result = import("import_contacts", "name,mobile\n" .. name .. ",13000001112\n王芳,13000001111\n", AUTUMN)
      assert.same({ 0, 0, 2, 4 }, { result.accepted, result.rejected, result.ambiguous, result.exit_code })
    end)
  end

  it("is read to its end by a cursor and by an offset, by a server that gives less than was asked for, and from a saved position", function()
    local lines = { "name,mobile" }
    for i = 1, 333 do
      lines[#lines + 1] = ("p%d,1310001%04d"):format(i, i)
    end
    assert.equal(333, import("import_contacts", table.concat(lines, "\n") .. "\n", AUTUMN).accepted)
    local client = assert(campaign.connect(PATH, account))
    local by_cursor = assert(client:all("list_contacts", {}))
    assert.equal("p333", by_cursor[#by_cursor].name)
    for _, case in ipairs({ { "list_contacts", { limit = 90 } }, { "list_records", {} }, { "list_records", { limit = 200 } } }) do
      assert.same(by_cursor, assert(client:all(case[1], case[2])))
      local walk, seen = client:each(case[1], case[2]), {}
      while #seen < #by_cursor do
        local before = #seen
        for row, err in walk do
          seen[#seen + 1] = assert(row, tostring(err))
          if #seen == before + 101 then
            break
          end
        end
        walk = client:each(case[1], case[2], { token = walk:token() })
      end
      assert.same(by_cursor, seen)
      assert.is_nil(walk())
    end
    client:close()
  end)

  it("gets files behind a mark of UTF-8, and names refused rows by their line", function()
    local result = import("upload_contacts", "姓名,手机号\n王芳,13000001111\nblocked,13000001112\n,13000001113\n李雷,13000001114\nblocked,13000001115\n",
      { params = { group = "秋 & co" } })
    assert.same({ 2, 3, 0 }, { result.accepted, result.rejected, result.ambiguous })
    local found = {}
    for i, row in ipairs(rows_of(result.rejects_file)) do
      found[i] = row._row .. row._cause
    end
    table.sort(found)
    assert.same({ "2platform", "3invalid", "5platform" }, found)
  end)

  it("gets rows as lines of JSON, from a call and from an import", function()
    local client = assert(campaign.connect(PATH, account))
    local events = { { mobile = "13000001111", name = "王\n芳" }, { mobile = "13000001112", name = "b", age = 7 } }
    assert(client:track_events{ source = "shop", events = events })
    local reply, err = client:track_events{ source = "shop" }
    assert.is_nil(reply)
    assert.equal("invalid", err.kind)
    client:close()
    local result = import("track_events", 'name,mobile\n"王\n芳",13000002111\nblocked,13000002112\n李雷,13000002113\nbad,12\n',
      { params = { source = "shop" } })
    assert.same({ 2, 2, 0 }, { result.accepted, result.rejected, result.ambiguous })
    local found = {}
    for _, row in ipairs(rows_of(result.rejects_file)) do
      found[row._row] = row._message
    end
    assert.equal("not now", found["2"])
    assert.is_string(found["4"])
    assert.matches("application/x-ndjson", command.campaign({ "openapi", PATH }).out, 1, true)
  end)

  it("finds rows that it names by the value of a field, also one that came back as a number", function()
    local result = import("block_numbers", "name,mobile\n王芳,13000001111\nknown,13000001112\n李雷,13000001114\n")
    assert.same({ 2, 1, 0 }, { result.accepted, result.rejected, result.ambiguous })
    local row = rows_of(result.rejects_file)[1]
    assert.same({ "2", "is blocked already" }, { row._row, row._message })
  end)

  it("leaves a batch in doubt where that value was not sent, or is that of several rows of which some were refused", function()
    for _, text in ipairs({ "stranger,13000001111\nx,13000001112\n", "known,13000001111\nx,13000001111\n" }) do
      local result = import("block_numbers", "name,mobile\n" .. text)
      assert.same({ 0, 0, 2 }, { result.accepted, result.rejected, result.ambiguous })
    end
  end)
end)
