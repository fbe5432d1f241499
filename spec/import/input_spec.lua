-- SPDX-License-Identifier: MIT
-- Bad input, whole: lists, options, accounts and servers that are not as they should be. Each is a clear error or a named reject with the
-- exit code of docs/import.md; nothing is lost and nothing is sent that should not be.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local raw_server = require "support.raw_server"

local LONGLONG = "longlong.import_customers_async"
local TUZHAN = "tuzhan.batch_add_group_relations"
local UPLOAD = "outbound.upload_contacts_file"

describe("campaign.import with bad input", function()
  setup(function()
    imports.start()
  end)
  teardown(imports.stop)
  before_each(function()
    imports.reset()
  end)

  local function refused(kind, text, more, ...)
    local result, err = imports.import(LONGLONG, text, more)
    assert.is_nil(result)
    assert.equal(kind, err.kind, tostring(err))
    for _, words in ipairs({ ... }) do
      assert.truthy(err.message:find(words, 1, true), err.message)
    end
    assert.equal(0, #imports.commits())
    return err
  end

  local function one_reject(text, reason, row, more, to)
    local result = assert(imports.import(to or LONGLONG, text, more))
    assert.equal(1, result.rejected, reason)
    assert.equal(result.rows - 1, result.taken_over)
    assert.equal(7, result.exit_code)
    local rejects = imports.read(result.rejects_file)
    assert.equal(reason, rejects[1]._reason)
    assert.equal(tostring(row), rejects[1]._row)
    imports.assert_balanced(result)
    return rejects[1], result
  end

  describe("in the file", function()
    it("refuses one that is missing, a folder, empty, or a header alone", function()
      refused("invalid", nil, { source = "/nonexistent/list.csv" }, "/nonexistent/list.csv")
      refused("invalid", nil, { source = "/tmp" }, "/tmp")
      refused("invalid", "")
      refused("invalid", "手机号\n", nil, "no rows")
    end)

    it("refuses columns of one name, and a column without one", function()
      refused("invalid", "phone,name,phone\n1,2,3\n", nil, "phone")
      refused("invalid", "phone,,name\n1,2,3\n")
    end)

    it("refuses a quote that is never closed, with its line, and sends nothing", function()
      local err = refused("invalid", "phone,name\n13800000001,a\n13800000002,\"b\n13800000003,c\n")
      assert.truthy(tostring(err):find("3", 1, true), tostring(err))
    end)

    it("leaves no folder of a list that could not be read, so that the mended one goes by the same order", function()
      local job, list = imports.folder() .. "/job", imports.list("phone,name\n13800000001,a\n13800000002,\"b\n")
      refused("invalid", nil, { source = list, job = job }, "never closed")
      assert.is_nil(core.system.stat(job))
      local file = assert(io.open(list, "wb"))
      file:write("phone,name\n13800000001,a\n13800000002,b\n")
      file:close()
      assert.equal(2, assert(imports.import(LONGLONG, nil, { source = list, job = job })).taken_over)
      imports.reset()
      -- A folder that was there stays, and so does what is not ours.
      local mine = imports.folder()
      refused("invalid", "phone\n\"1\n", { job = mine })
      assert.equal("folder", core.system.stat(mine).type)
      assert.equal(2, assert(imports.import(LONGLONG, nil, { source = list, job = mine })).taken_over)
    end)

    it("refuses a required column that is not there, before it reads the rows", function()
      refused("usage", "name,company\na,b\n", nil, 'no column for "phone"', '"company"')
    end)

    it("rejects rows with too many and too few fields by name and keeps their own fields", function()
      local reject = one_reject("phone,name\n13800000001,a,zuviel\n13800000002,b\n", "width", 1)
      assert.same({ "13800000001", "a", "zuviel" }, { reject.fields[11], reject.fields[12], reject.fields[13] })
      one_reject("phone,name\n13800000001\n13800000002,b\n", "width", 1)
    end)

    it("rejects text after a closing quote, NUL bytes and invalid bytes, and keeps the bytes", function()
      one_reject("phone,name\n13800000001,\"a\"b\n13800000002,b\n", "quote", 1)
      one_reject("phone,name\n13800000001,a\0b\n13800000002,b\n", "nul", 1)
      local reject = one_reject("phone,name\n13800000002,客户\n13800000001,a\255b\n", "encoding", 2, { encoding = "utf-8" })
      assert.equal("a\255b", reject.name)
      one_reject("phone,name\n13800000002,\191\205\187\167\n13800000001,a\255b\n", "encoding", 2, { encoding = "gbk" })
    end)

    it("rejects a record over the maximum without holding it", function()
      one_reject("phone,name\n13800000001," .. ("x"):rep(1100000) .. "\n13800000002,b\n", "too_large", 1)
    end)

    it("reads byte-order marks, CRLF, GBK and UTF-16", function()
      for _, text in ipairs({
        "\239\187\191手机号,姓名\r\n13800000001,客户\r\n",
        assert(core.gbk.encode("手机号,姓名\n13800000001,客户\n", "gbk")),
        "\255\254" .. assert(core.gbk.encode("手机号,姓名\n13800000001,客户\n", "utf-16le")),
        "\254\255" .. assert(core.gbk.encode("手机号,姓名\n13800000001,客户\n", "utf-16be")),
      }) do
        imports.reset()
        local result = assert(imports.import(LONGLONG, text))
        assert.equal(0, result.exit_code)
        assert.equal("客户", imports.commits()[1].row.name)
      end
    end)

    it("keeps fields with commas, quotes and line ends whole, and counts lines as an editor does", function()
      local _, result = one_reject('phone,company\n13800000001,"a, ""b""\nc"\n,x\n', "required", 2)
      assert.equal('a, "b"\nc', imports.commits()[1].row.company)
      assert.equal("4", imports.read(result.rejects_file)[1]._line)
    end)

    it("rejects phones with letters when asked to check, and only then", function()
      local reject = one_reject("phone\n1380000000x\n13800000002\n", "check", 1, { check = { phone = "mobile_cn" } })
      assert.equal("mobile_cn", reject._code)
      assert.equal("phone", reject._column)
      assert.equal(0, assert(imports.import(LONGLONG, "phone\n1380000000x\n")).exit_code)
    end)

    it("R104 client rejects a row that leaves the identity empty which it names (R107: rows may differ)", function()
      one_reject("identityType,phone,openid,groups\nphone,13800000001,,a\nopenid,,o-1,a\nopenid,13800000002,,a\n", "required", 3,
        { set = {} }, TUZHAN)
      assert.same({ "phone", "openid" }, { imports.commits()[1].row.identityType, imports.commits()[2].row.identityType })
    end)

    it("R110 client rejects a row without any identity", function()
      one_reject("phone,openid,groups\n13800000001,,a\n,o-1,a\n,,a\n", "required", 3, {
        set = {}, params = { publicParams = { isMatching = true, matchingType = 2, identifyWay = 1, optType = "add" } },
      }, TUZHAN)
    end)

    it("R113 client rejects group names that are missing, empty, or hold a comma", function()
      one_reject("phone,groups\n13800000001,a;b\n13800000002,\n", "required", 2, nil, TUZHAN)
      one_reject("phone,groups\n13800000001,a;b\n13800000002,\"a;b,c\"\n", "forbidden", 2, nil, TUZHAN)
      local result = assert(imports.import(TUZHAN, "phone,groups\n13800000001,a;;b\n"))
      assert.equal(1, result.rejected)
    end)

    it("sends nothing when every row was rejected", function()
      local result = assert(imports.import(LONGLONG, "phone,name\n,a\n,b\n"))
      assert.equal(0, result.requests)
      assert.equal(7, result.exit_code)
      assert.equal("finished", result.state)
      imports.assert_balanced(result)
    end)

    it("notices a list that changes while it is imported, says so, and loses no row", function()
      for name, change in pairs{
        longer = function(text) return text .. "c-09999,spät,13899999999,x,y\n" end,
        shorter = function(text) return text:sub(1, 300) end, -- what was not sent cannot even be listed
        empty = function() return "" end,
      } do
        imports.reset()
        local options = imports.options(LONGLONG, imports.people(1000), { concurrency = 1 })
        local job = assert(campaign.plan(options))
        command.write(options.source, change(command.read(options.source)))
        local result = assert(job:run())
        assert.equal("stopped", result.state, name)
        assert.equal("changed", result.error.reason, tostring(result.error))
        assert.matches("was changed while it was imported", result.error.message, 1, true)
        assert.equal(8, result.exit_code)
        assert.same({ 1000, 1000, 0 }, { result.rows, result.pending, #imports.commits() }, name)
      end
    end)
  end)

  describe("in the options", function()
    it("raises for what only a wrong program gives", function()
      for _, given in ipairs({
        {}, { source = "x" }, { to = LONGLONG }, { source = 1, to = LONGLONG }, { source = "x", to = LONGLONG, maap = {} },
        { source = "x", to = LONGLONG, concurrency = 0 }, { source = "x", to = LONGLONG, concurrency = 1.5 },
        { source = "x", to = LONGLONG, window = "never" }, { source = "x", to = LONGLONG, map = { phone = 2 } },
        { source = "x", to = LONGLONG, on_unmappable = "?" },
      }) do
        assert.has_error(function()
          campaign.import(given)
        end)
      end
      for _, name in ipairs({ "plan", "import" }) do
        local ok, message = pcall(function()
          local job = campaign[name]{ source = "x", to = LONGLONG, maap = {} }
          return job
        end)
        assert.is_false(ok)
        assert.matches("did you mean `map`", tostring(message), 1, true)
        assert.matches("input_spec.lua", tostring(message), 1, true)
      end
    end)

    it("returns what depends on the platform: unknown ones, operations without rows, wrong fields", function()
      local function fault(options, kind, words)
        local all = { source = "/nonexistent", account = imports.accounts.longlong }
        for key, value in pairs(options) do
          all[key] = value
        end
        local result, err = campaign.import(all)
        assert.is_nil(result)
        assert.equal(kind, err.kind, tostring(err))
        assert.truthy(err.message:find(words, 1, true), err.message)
      end
      fault({ to = "longlong" }, "usage", "platform.operation")
      fault({ to = "shortshort.import" }, "usage", "shortshort")
      fault({ to = "outbound.get_contact_group_detail" }, "usage", "takes no rows")
      fault({ to = "longlong.import_customers" }, "usage", "import_customers_async")
      fault({ to = LONGLONG, check = { phone = "mobil_cn" } }, "usage", "did you mean `mobile_cn`")
      fault({ to = LONGLONG, rows_per_file = 5 }, "usage", "rows_per_call")
      fault({ to = LONGLONG, overwrite = true }, "usage", "cannot overwrite")
      fault({ to = LONGLONG, params = { encryption = "yes" } }, "invalid", "encryption")
      fault({ to = LONGLONG, params = { data = {} } }, "invalid", "data")
      fault({ to = LONGLONG, on_unmappable = { map = "/nonexistent" } }, "usage", "/nonexistent")
    end)

    it("refuses a job folder that holds something, and makes no folder for a refused import", function()
      local folder = command.folder()
      command.write(folder .. "/mine", "x")
      local err = refused("usage", "phone\n1\n", { job = folder }, "not empty")
      assert.matches("folder of its own", err.hint, 1, true)
      local job = imports.job()
      refused("usage", "name\n1\n", { job = job }, "phone")
      assert.is_nil(core.system.stat(job))
      command.remove(folder)
    end)
  end)

  it("lists rows whose key an earlier row had, and sends the first", function()
    local text = "phone,name\n13800000001,a\n13800000002,b\n13800000001,c\nx,d\n13800000001,e\n"
    local result = assert(imports.import(LONGLONG, text, { unique = "phone", check = { phone = "mobile_cn" } }))
    assert.equal(2, result.duplicate)
    assert.equal(1, result.rejected)
    assert.equal(2, result.taken_over)
    local rows = imports.read(result.duplicates_file)
    assert.same({ "3", "c", "phone" }, { rows[1]._row, rows[1].name, rows[1]._column })
    assert.same({ "a", "b" }, { imports.commits()[1].row.name, imports.commits()[2].row.name })
    imports.assert_balanced(result)
    local _, err = imports.import(LONGLONG, text, { unique = "phon" })
    assert.matches("did you mean `phone`", err.message, 1, true)
  end)

  describe("at the other end", function()
    local server

    setup(function()
      server = raw_server.start()
    end)
    teardown(function()
      server:stop()
    end)

    -- Limits short enough for a spec; everything else is the real transport.
    local function hasty()
      local real = require("campaign.transport.curl").new()
      return setmetatable({
        submit = function(_, request)
          request.limits = { connect = 5, stall = 2, total = 2.5 }
          return real:submit(request)
        end,
      }, { __index = function(_, name)
        return function(_, ...)
          return real[name](real, ...)
        end
      end })
    end

    local function to(path)
      local before = #server:commits()
      local transport = hasty()
      local result = assert(imports.import(LONGLONG, imports.people(700), {
        account = { base_url = server.url .. path, token = "t", user_id = "u" }, concurrency = 1, transport = transport,
      }))
      transport:close()
      imports.assert_balanced(result)
      return result, #server:commits() - before
    end

    it("gives up on a dead server with every row provably not sent, in a file that can be imported", function()
      local socket = assert(require("socket").bind("127.0.0.1", 0))
      local _, port = socket:getsockname()
      socket:close()
      local result = assert(imports.import(LONGLONG, imports.people(700), {
        account = { base_url = "http://127.0.0.1:" .. port, token = "t", user_id = "u" }, attempts = 3,
      }))
      assert.equal(3, result.exit_code)
      assert.equal("network", result.error.kind)
      assert.equal(700, result.pending)
      assert.is_true(result.requests <= 3 * 4)
      assert.equal("c-00001", imports.read(result.not_sent_file)[1].uuid)
      imports.assert_balanced(result)
      assert.equal(0, assert(imports.import(LONGLONG, nil, { source = result.not_sent_file })).exit_code)
      assert.equal(700, #imports.commits())
    end)

    -- path, exit code, ambiguous and pending rows, requests
    for _, case in ipairs({
      { "/fin", "closes without an answer", 4, 600, 100, 3 },
      { "/rst", "resets without an answer", 4, 600, 100, 3 },
      { "/hang", "never answers", 4, 600, 100, 3 },
      { "/trickle", "answers for ever", 4, 600, 100, 3 },
      { "/truncated", "cuts its answer short", 4, 600, 100, 3 },
      { "/badchunk", "breaks its chunks", 4, 600, 100, 3 },
      { "/http09", "speaks no HTTP", 4, 600, 100, 3 },
      { "/endless-headers", "sends headers without end", 4, 600, 100, 3 },
      { "/endless", "sends a body without end", 4, 600, 100, 3 },
      { "/ok", "answers something that is no JSON", 4, 600, 100, 3 },
      { "/status/500", "fails", 4, 600, 100, 3 },
      { "/status/503", "is unavailable", 4, 600, 100, 3 },
      { "/redirect/302", "redirects", 4, 200, 500, 1 },
      { "/status/401", "refuses the credentials", 6, 0, 700, 1 },
      { "/status/403", "refuses the right", 6, 0, 700, 1 },
      { "/status/404", "is not there", 5, 0, 700, 1 },
      { "/status/413", "finds the call too large", 5, 0, 700, 1 },
    }) do
      it("keeps the books with a server that " .. case[2] .. " (" .. case[1] .. "), and repeats nothing", function()
        local result, received = to(case[1])
        assert.equal("stopped", result.state)
        assert.equal(case[3], result.exit_code, tostring(result.error))
        assert.equal(case[4], result.ambiguous)
        assert.equal(case[5], result.pending)
        assert.equal(case[6], result.requests)
        assert.equal(case[6], received)
      end)
    end

    it("tries a batch again that a full server turned away, and gives up after twenty times", function()
      local result = to("/status/429")
      assert.equal(3, result.exit_code)
      assert.equal("throttle", result.error.kind)
      assert.equal(700, result.pending)
      assert.equal(21, result.requests)
    end)
  end)

  it("R029 client never sends a file without rows", function()
    local result = assert(imports.import(UPLOAD, "uuid,phone\n,\n"))
    assert.equal(0, result.requests)
    assert.equal(1, result.rejected)
  end)
end)
