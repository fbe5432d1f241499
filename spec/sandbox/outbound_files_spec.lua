-- SPDX-License-Identifier: MIT
-- The sandbox's outbound file uploads, rule by rule: multipart bodies and GBK written out byte by byte.

local core = require "campaign.core"
local h = require "sandbox.helper"

local json, rule = h.json, h.rules(it)
local array = json.array

describe("sandbox outbound files", function()
  local UPLOAD = "/api/v1/config/openapi/contact/uploadDataSource/v2"
  local DNC = "/api/v1/config/openapi/contact/uploadDncDataSource/v2"
  local ZHANG_SAN = "\213\197\200\253" -- 张三 in GBK
  local ROWS = "uuid,name,phone,company\r\nc-1," .. ZHANG_SAN .. ",13012121211,\"A, \"\"B\"\"\"\r\nc-2,x,13012121212,\r\n"

  setup(function() h.start() end)
  teardown(function() h.stop() end)

  -- Sends the parts of a good upload with changes: a text, or false to leave the part out.
  local function send(path, changes, content, filename, headers)
    changes = changes or {}
    local parts = {}
    local values = { token = h.accounts.outbound.token, abbreviate = "acme", dataSourceName = "autumn-contacts",
      operationType = path == UPLOAD and "0" or nil }
    if path == DNC then
      values.dataSourceName = "acme-dnc"
    end
    for name, value in pairs(changes) do
      values[name] = value
    end
    for name, value in pairs(values) do
      if value then
        parts[#parts + 1] = { name, value }
      end
    end
    if content then
      parts[#parts + 1] = { "dataSourceFile", content, filename or "contacts.csv" }
    end
    return h.form(path, headers, parts)
  end

  local function upload(changes, content, filename)
    return send(UPLOAD, changes, content or ROWS, filename)
  end

  local function dnc(content, changes)
    return send(DNC, changes, content or "uuid\r\nc-7\r\nc-9\r\n")
  end

  local function code(expected, answer)
    assert.equal(200, answer.status, answer.body)
    assert.equal(expected, answer.json.code, answer.body)
    return answer
  end

  local function total(name)
    local answer = h.get("/api/v1/config/openapi/contact/contactGroupDetail?abbreviate=acme",
      { token = h.accounts.outbound.token })
    for _, source in ipairs(answer.json.data) do
      if source.dataSourceName == (name or "autumn-contacts") then
        return source.total
      end
    end
  end

  local function task(state, start)
    h.control("tasks", { tasks = array{ { dataSourceName = "autumn-contacts", state = state, start = start } } })
  end

  it("stores the rows decoded, the header left out", function()
    h.reset()
    code(200, upload())
    local list = h.commits("upload_contacts_file")
    assert.equal(2, #list)
    assert.same(array{ "c-1", "张三", "13012121211", 'A, "B"' }, list[1].row)
    assert.equal("append", list[1].mode)
  end)

  rule("R017", "refuses a request without the form field token, even with the header", function()
    code(401, send(UPLOAD, { token = false }, ROWS, nil, { token = h.accounts.outbound.token }))
    code(401, upload{ token = "wrong" })
    code(401, dnc(nil, { token = false }))
  end)

  rule("R019", "needs an abbreviate that is not empty", function()
    code(400, upload{ abbreviate = false })
    code(400, upload{ abbreviate = "" })
    code(400, dnc(nil, { abbreviate = false }))
  end)

  rule("R020", "answers 403 to a token used with another abbreviate", function()
    code(403, upload{ abbreviate = "globex" })
  end)

  rule("R022", "takes companyId absent or as text", function()
    code(200, upload())
    code(200, upload{ companyId = "7" })
    code(400, upload{ companyId = "seven" })
  end)

  rule("R030", "refuses a missing, unnamed or empty file", function()
    code(400, send(UPLOAD))
    code(400, upload({}, ""))
    code(400, upload({}, ROWS, ""))
    code(400, upload({ dataSourceFile = ROWS }, false))
  end)

  rule("R033", "refuses a file that is no GBK or starts with a byte-order mark", function()
    code(400, upload({}, "c-1,\129\255,1,x\r\n"))
    code(400, upload({}, "c-1,x,1,\213"))
    code(400, upload({}, "\239\187\191" .. ROWS))
    code(400, upload({}, "\255\254c\0"))
    code(400, upload({}, "\254\255\0c"))
    assert.equal(0, total())
  end)

  rule("R035", "skips a header and wants as many columns as the group has fields", function()
    code(200, upload())
    assert.equal(2, total())
    code(400, upload({}, "c-1,x,1\r\n"))
    code(400, upload({}, "c-1,x,1,y,z\r\n"))
    code(400, upload({}, ROWS .. "c-3\r\n"))
    assert.equal(2, total())
  end)

  rule("R037", "needs a dataSourceName that is not empty", function()
    code(400, upload{ dataSourceName = false })
    code(400, upload{ dataSourceName = "" })
  end)

  rule("R038", "answers 404 to an unknown data source", function()
    code(404, upload{ dataSourceName = "unknown" })
  end)

  rule("R040", "refuses a missing or other operationType", function()
    for _, value in ipairs{ false, "2", "123456", "" } do
      code(400, upload{ operationType = value })
    end
  end)

  rule("R043", "refuses any dataSourceType but 0", function()
    code(200, upload{ dataSourceType = "0" })
    code(400, upload{ dataSourceType = "1" })
    code(400, upload{ dataSourceType = "" })
  end)

  rule("R044", "adds rows on append and replaces them all on overwrite", function()
    code(200, upload())
    code(200, upload())
    assert.equal(4, total())
    code(200, upload({ operationType = "1" }, "c-9,x,1,y\r\n"))
    assert.equal(1, total())
    assert.equal("overwrite", h.commits()[5].mode)
  end)

  rule("R045", "leaves the rows as they were after a refusal", function()
    code(200, upload())
    code(400, upload({ operationType = "1" }, "c-3,x,1,y\r\nc-4,x\r\n"))
    assert.equal(2, total())
    assert.equal(2, #h.commits())
  end)

  rule("R046", "refuses overwrite while a task runs, is paused or completed, and takes append", function()
    for _, state in ipairs{ "RUNNING", "PAUSED", "COMPLETED" } do
      task(state)
      code(409, upload{ operationType = "1" })
      code(200, upload{ operationType = "0" })
    end
  end)

  rule("R047", "refuses overwrite when a new task starts within 30 minutes, and takes append", function()
    task("NEW", "2025-11-10 10:29:00")
    code(409, upload{ operationType = "1" })
    code(200, upload{ operationType = "0" })
  end)

  rule("R048", "counts exactly 30 minutes and a past start as within", function()
    task("NEW", "2025-11-10 10:30:00")
    code(409, upload{ operationType = "1" })
    task("NEW", "2025-11-10 09:00:00")
    code(409, upload{ operationType = "1" })
    task("NEW", "2025-11-10 10:30:01")
    code(200, upload{ operationType = "1" })
  end)

  rule("R049", "takes overwrite without tasks, or when all start later", function()
    code(200, upload{ operationType = "1" })
    task("NEW", "2025-11-10 11:00:00")
    code(200, upload{ operationType = "1" })
  end)

  it("lets tasks of other data sources alone", function()
    h.reset()
    h.control("tasks", { tasks = array{ { dataSourceName = "spring-campaign", state = "RUNNING" } } })
    code(200, upload{ operationType = "1" })
  end)

  rule("R051", "refuses uploads between 00:00 and 02:00, whatever the operationType", function()
    h.at("2025-11-10 00:30:00")
    code(423, upload{ operationType = "0" })
    code(423, upload{ operationType = "1" })
    assert.equal(0, total())
  end)

  rule("R052", "closes from 00:00:00 up to but not including 02:00:00", function()
    for time, expected in pairs{ ["00:00:00"] = 423, ["01:59:59"] = 423, ["02:00:00"] = 200, ["23:59:59"] = 200 } do
      h.at("2025-11-10 " .. time)
      code(expected, upload())
    end
  end)

  rule("R055", "looks at the window before the task rules", function()
    h.at("2025-11-10 00:30:00")
    task("RUNNING")
    code(423, upload{ operationType = "1" })
  end)

  rule("R057", "wants do-not-call files in GBK with the one column uuid", function()
    code(200, dnc())
    code(400, dnc("uuid,name\r\n"))
    code(400, dnc("c-\129\255\r\n"))
    code(400, dnc("\239\187\191c-1\r\n"))
  end)

  rule("R058", "refuses a row with two columns or an empty uuid, and skips the header", function()
    code(200, dnc())
    assert.equal(2, total("acme-dnc"))
    code(400, dnc("c-1\r\nc-2,x\r\n"))
    code(400, dnc("c-1\r\n\r\nc-2\r\n"))
    code(400, dnc('c-1\r\n""\r\n'))
    assert.equal(2, total("acme-dnc"))
  end)

  rule("R061", "refuses any dataSourceType but 1 for do-not-call files", function()
    code(200, dnc(nil, { dataSourceType = "1" }))
    code(400, dnc(nil, { dataSourceType = "0" }))
  end)

  rule("R062", "wants a data source of kind 1", function()
    code(404, dnc(nil, { dataSourceName = "autumn-contacts" }))
  end)

  rule("R063", "keeps do-not-call files open at night and with tasks running", function()
    h.at("2025-11-10 00:30:00")
    task("RUNNING")
    code(200, dnc())
  end)

  rule("R084", "takes known uuids without storing them twice", function()
    code(200, dnc())
    code(200, dnc("c-7\r\nc-8\r\nc-8\r\n"))
    assert.equal(3, total("acme-dnc"))
    assert.equal(3, #h.commits("upload_dnc_file"))
  end)

  it("reads quotes, line ends and borders of pieces as RFC 4180 has them", function()
    h.reset()
    local lines = {}
    for i = 1, 3000 do
      lines[i] = 'c-' .. i .. ',"' .. ZHANG_SAN:rep(10) .. '\r\n""x"",",' .. i .. (i % 2 == 0 and ',y\r\n' or ',"y"\n')
    end
    code(200, upload({}, table.concat(lines) .. 'last,"' .. ZHANG_SAN .. '",1,""'))
    assert.equal(3001, total())
    local list = h.commits()
    assert.same(array{ "c-3000", ("张三"):rep(10) .. '\r\n"x",', "3000", "y" }, list[3000].row)
    assert.same(array{ "last", "张三", "1", "" }, list[3001].row)
    code(400, upload({}, 'c-1,"x,1,y\r\n'))
    code(400, upload({}, 'c-1,"x"y,1,z\r\n'))
  end)

  it("refuses bodies that are no multipart, or break off", function()
    h.reset()
    code(400, h.post(UPLOAD, {}, "{}"))
    code(400, h.send("POST", UPLOAD, { ["Content-Type"] = "multipart/form-data" }, "x"))
    code(400, h.send("POST", UPLOAD, { ["Content-Type"] = "multipart/form-data; boundary=b" },
      '--b\r\nContent-Disposition: form-data; name="token"\r\n\r\nx'))
    assert.equal(0, #h.commits())
  end)

  it("takes a large file without holding it in memory", function()
    h.reset()
    local line = "c-1," .. ZHANG_SAN .. ",13012121211," .. ("x"):rep(100) .. "\r\n"
    code(200, upload({}, line:rep(100000)))
    assert.equal(100000, total())
    local pid = h.handle.environment.CAMPAIGN_SANDBOX_PID
    local peak = tonumber(core.system.read_file("/proc/" .. pid .. "/status"):match("VmHWM:%s+(%d+)"))
    assert.is_true(peak < 80000, "peak " .. peak .. " kB")
  end)
end)
