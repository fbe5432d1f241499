-- SPDX-License-Identifier: MIT
-- Literal cases, taken from docs/contracts: fields → the bytes on the wire; bytes of a reply → the result. The engine sends to a plain
-- socket, so nothing of our own reading of the platforms stands between the case and the bytes.

local campaign = require "campaign"
local fake = require "support.fake"
local platforms = require "campaign.api.platform"
local recorder = require "support.recorder"

-- The literal values that the cases' accounts have; the address is the recorder's.
local function run(platform, case, reply)
  local wire = recorder.new{ reply }
  local account = {}
  for key, value in pairs(case.account or {}) do
    account[key] = value
  end
  account.base_url = wire.url
  local client = assert(campaign.connect(platform, account,
    { transport = wire, env = fake.env(), open_store = function() return fake.store() end }))
  local well, result, err = pcall(client.call, client, case.operation, case.fields, case.options)
  wire:close()
  assert(well, result)
  return result, err, wire.received
end

for _, name in ipairs(platforms.names()) do
  local cases = require("cases." .. name)

  describe("cases of " .. name, function()
    for _, case in ipairs(cases) do
      case.account = case.account or cases.account

      it("sends " .. case.operation .. " as the contract says, and reads its reply", function()
        local reply = recorder.reply(case.reply, case.status, case.headers)
        local result, err, received = run(name, case, reply)
        assert(result, tostring(err))
        assert.equal(1, #received)
        assert.equal((case.request:gsub("^\n", "")), recorder.readable(received[1]))
        assert.same(case.result, result)
      end)
    end

    for _, case in ipairs(cases.refusals) do
      case.account = case.account or cases.account
      for _, good in ipairs(cases) do -- a refusal without fields is one of the operation's own case
        if case.fields == nil and good.operation == case.operation then
          case.fields, case.options = good.fields, case.options or good.options
        end
      end
      it("reads the refusal of " .. case.operation .. " " .. (case.status or "200 OK"), function()
        local result, err, received = run(name, case, recorder.reply(case.reply, case.status, case.headers))
        assert.is_nil(result)
        assert.equal(1, #received)
        local seen = {}
        for key in pairs(case.err) do
          seen[key] = err[key]
        end
        assert.same(case.err, seen)
      end)
    end

    it("has a case and a refusal for every operation", function()
      local covered, refused = {}, {}
      for _, case in ipairs(cases) do
        covered[case.operation] = true
      end
      for _, case in ipairs(cases.refusals) do
        refused[case.operation] = true
      end
      for _, operation in ipairs(platforms.load(name).operations) do
        assert(covered[operation.name], "no case for " .. operation.key)
        assert(refused[operation.name], "no refusal for " .. operation.key)
      end
    end)
  end)
end

describe("the wire", function()
  it("R001 client sends JSON as application/json in UTF-8", function()
    local _, _, received = run("longlong", { account = { token = "t", user_id = "u" }, operation = "import_customers_async",
      fields = { data = { { name = "王", phone = "1" } } } }, recorder.reply("{}"))
    assert(received[1]:find("\r\nContent-Type: application/json\r\n", 1, true))
    assert(received[1]:find('"name":"\231\142\139"', 1, true))
  end)

  it("R005 client leaves out what was not given", function()
    local _, _, received = run("longlong", { account = { token = "t", user_id = "u" }, operation = "import_customers_async",
      fields = { data = { { phone = "1" } } } }, recorder.reply("{}"))
    local expected = '\r\n\r\n{"data":[{"phone":"1"}],"encryption":false}'
    assert.equal(expected, received[1]:sub(-#expected))
  end)

  it("R007 client percent-encodes path and query as UTF-8", function()
    local _, _, received = run("outbound", { account = { token = "t" }, operation = "get_contact_group_detail",
      fields = { abbreviate = "示例/?&=+ %" } }, recorder.reply("{}"))
    assert.matches("%?abbreviate=%%E7%%A4%%BA%%E4%%BE%%8B%%2F%%3F%%26%%3D%%2B%%20%%25 HTTP", received[1])
  end)

  local FILE = { dataSourceName = "s", dataSourceFile = { content = "uuid\r\n\179\204\r\n", filename = "名单.csv" } }

  it("R028 client makes a boundary for each request", function()
    local account = { token = "t", abbreviate = "a" }
    local seen = {}
    for _ = 1, 2 do
      local _, _, received = run("outbound", { account = account, operation = "upload_contacts_file", fields = FILE }, recorder.reply("{}"))
      local boundary = received[1]:match("\r\nContent%-Type: multipart/form%-data; boundary=(%S+)\r\n")
      assert(boundary and not seen[boundary])
      seen[boundary] = true
    end
  end)

  it("R235 client makes a boundary for each upload to hypers", function()
    local seen = {}
    for _ = 1, 2 do
      local _, _, received = run("hypers", { account = { token = "t" }, operation = "upload_file",
        fields = { file = { content = "x", filename = "a.png" } } }, recorder.reply("{}"))
      local boundary = received[1]:match("boundary=(%S+)\r\n")
      assert(boundary and not seen[boundary])
      seen[boundary] = true
    end
  end)

  it("R036 client sends a ready file byte for byte", function()
    local path = os.tmpname()
    local bytes = "uuid,name\r\nc-1,\205\245\208\161\195\247\r\n\0\255\26"
    local file = assert(io.open(path, "wb"))
    file:write(bytes)
    file:close()
    local _, _, received = run("outbound", { account = { token = "t", abbreviate = "a" }, operation = "upload_contacts_file",
      fields = { dataSourceName = "s", dataSourceFile = path } }, recorder.reply("{}"))
    os.remove(path)
    assert(received[1]:find("\r\n\r\n" .. bytes .. "\r\n--", 1, true))
  end)

  it("writes the name of a file as the platform's other texts are written", function()
    local _, _, received = run("outbound", { account = { token = "t", abbreviate = "a" }, operation = "upload_contacts_file", fields = FILE },
      recorder.reply("{}"))
    assert(received[1]:find('filename="\195\251\181\165.csv"', 1, true))
  end)
end)
