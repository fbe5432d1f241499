-- SPDX-License-Identifier: MIT
-- A fifth platform, invented and written as docs/add-a-platform.md says: with nothing but its data, client, checks, import, command and
-- documents work against a server that knows nothing of that data.

local campaign = require "campaign"
local cjson = require "cjson"
local command = require "spec.support.command"
local core = require "campaign.core"
local fake = require "spec.support.fake"
local platforms = require "campaign.api.platform"

local PATH = "./examples/platforms/courier.lua"
local PEOPLE = { { phone = "13000001111", name = "王芳" }, { phone = "13000001112" } }

describe("a platform of one's own", function()
  local server, url, folder, client

  before_each(function()
    folder = command.folder()
    server = assert(core.system.spawn{ command.LUA == "5.4" and "lua5.4" or "luajit", "spec/support/courier_server.lua", pipe = true })
    url = "http://127.0.0.1:" .. assert(server:read_line(30))
    client = assert(campaign.connect(PATH, { base_url = url, token = "K-1", sender = "Demo" }, { env = fake.env() }))
  end)
  after_each(function()
    client:close()
    server:close()
    command.remove(folder)
  end)

  local function environment()
    return { CAMPAIGN_COURIER_BASE_URL = url, CAMPAIGN_COURIER_TOKEN = "K-1", CAMPAIGN_COURIER_SENDER = "Demo",
      XDG_STATE_HOME = folder .. "/state" }
  end

  it("is under 100 lines of data for three operations", function()
    local _, lines = command.read(PATH):gsub("\n", "")
    assert.is_true(lines < 100, tostring(lines))
    assert.equal(3, #assert(platforms.load(PATH)).operations)
  end)

  it("sends what was asked for, filled from the account, and reads 64-bit ids exactly", function()
    local reply = assert(client:send_message{ text = "Your order is ready.", recipients = PEOPLE })
    assert.equal("9007199254740900001", reply.id)
    assert.equal("QUEUED", reply.state)
    assert.same({ sender = "Demo", channel = "SMS", text = "Your order is ready.", recipients = PEOPLE }, reply.request)
  end)

  it("is waited for, and told when that is in vain", function()
    local sent = assert(client:send_message{ text = "hello", recipients = PEOPLE })
    local reply = assert(client:wait("message_delivered", { id = sent.id }))
    assert.equal("DELIVERED", reply.state)
    assert.equal(2, reply.delivered)
    sent = assert(client:send_message{ text = "fail", recipients = PEOPLE })
    local nothing, err = client:wait("message_delivered", { id = sent.id })
    assert.is_nil(nothing)
    assert.matches("FAILED", tostring(err))
  end)

  it("is read page by page", function()
    for index = 1, 7 do
      assert(client:send_message{ text = "message " .. index, recipients = PEOPLE })
    end
    local seen = {}
    for message, err in client:each("list_messages", { size = 3 }) do
      assert(message, tostring(err))
      seen[#seen + 1] = message.request.text
    end
    assert.same({ "message 1", "message 2", "message 3", "message 4", "message 5", "message 6", "message 7" }, seen)
  end)

  it("refuses fields that its data does not allow, before anything is sent", function()
    local reply, err = client:send_message{ text = ("x"):rep(301), channel = "FAX", recipients = { { phone = "12" } } }
    assert.is_nil(reply)
    assert.equal("invalid", err.kind)
    local paths = {}
    for index, fault in ipairs(err.faults) do
      paths[index] = fault.path
    end
    table.sort(paths)
    assert.same({ "channel", "recipients[1].phone", "text" }, paths)
    assert.same({}, assert(client:all("list_messages", {})))
  end)

  it("keeps its quiet hours", function()
    local late = assert(campaign.connect(PATH, { base_url = url, token = "K-1", sender = "Demo" },
      { env = fake.env(nil, fake.NOON + 10 * 3600 + 60) }))
    local reply, err = late:send_message{ text = "hello", recipients = PEOPLE }
    late:close()
    assert.is_nil(reply)
    assert.equal("window", err.kind)
  end)

  it("has refusals of the kind that its data names", function()
    local stranger = assert(campaign.connect(PATH, { base_url = url, token = "K-2", sender = "Demo" }, { env = fake.env() }))
    local reply, err = stranger:send_message{ text = "hello", recipients = PEOPLE }
    stranger:close()
    assert.is_nil(reply)
    assert.equal("auth", err.kind)
    assert.equal(401, err.status)
    reply, err = client:get_message{ id = "5" }
    assert.is_nil(reply)
    assert.equal(404, err.status)
    assert.equal("no", err.sent)
  end)

  it("takes lists, by the import of the library", function()
    local list = command.write(folder .. "/list.csv", "recipient,mobile\n王芳,13000001111\n,130\n李雷,13000001112\n")
    local result = assert(campaign.import{ source = list, to = PATH .. ".send_message",
      account = { base_url = url, token = "K-1", sender = "Demo" }, params = { text = "hello" }, window = "ignore", job = folder .. "/job" })
    assert.equal(2, result.accepted_pending)
    assert.equal(1, result.rejected)
    local messages = assert(client:all("list_messages", {}))
    assert.equal(1, #messages)
    assert.same({ { phone = "13000001111", name = "王芳" }, { phone = "13000001112", name = "李雷" } }, messages[1].request.recipients)
  end)

  it("is never sent more rows in a call than its data allows, also where it names no number for an import", function()
    local list = command.write(folder .. "/list.csv", "mobile\n" .. ("13000001111\n"):rep(7))
    local text = command.read(PATH):gsub("max_items = 500", "max_items = 3")
    local own = command.write(folder .. "/own.lua", (text:gsub("per_call = 500, ", "")))
    local function plan(rows)
      return campaign.plan{ source = list, to = own .. ".send_message", dry_run = true, window = "ignore", rows_per_call = rows,
        account = { base_url = url, token = "K-1", sender = "Demo" }, params = { text = "hello" } }
    end
    local job = assert(plan())
    assert.equal(3, job.plan.calls)
    job:close()
    local none, err = plan(4)
    assert.is_nil(none)
    assert.equal("rows_per_call: at most 3 rows in a call", err.message)
  end)

  it("is found again by a job that is continued in another folder", function()
    local env = environment()
    command.write(folder .. "/own.lua", command.read(PATH))
    command.write(folder .. "/list.csv", "mobile\n13000001111\n")
    local result = command.campaign({ "import", "list.csv", "--to", "./own.lua.send_message", "-p", "text=hello", "--window", "ignore", "--job",
      "job", "--dry-run" }, { env = env, cd = folder })
    assert.equal(0, result.code, result.err)
    result = command.campaign({ "resume", folder .. "/job" }, { env = env })
    assert.equal(0, result.code, result.err)
  end)

  it("is named by the path of its file wherever its words are to be typed", function()
    local out = command.campaign({ "describe", PATH, "--format", "markdown" }).out
    for _, words in ipairs({ "campaign import FILE --to " .. PATH .. ".send_message`", "campaign wait " .. PATH .. ".message_delivered`",
      "campaign call " .. PATH .. ".get_message ", "campaign.connect(\"" .. PATH .. "\")" }) do
      assert(out:find(words, 1, true), words)
    end
    local result = command.campaign({ "call", PATH .. ".list_messages" }, { env = { HOME = folder } })
    assert.equal(2, result.code)
    assert(result.err:find("campaign.connect(\"" .. PATH .. "\", {", 1, true), result.err)
  end)

  it("keeps the form that the platform asks of a field, also beside a check of the user's and for one value of all rows", function()
    local list = command.write(folder .. "/list.csv", "recipient,mobile\n王芳,13000001111\n,130\n李雷,+13000001112\n赵四,13000001113\n")
    local function plan(more)
      local options = { source = list, to = PATH .. ".send_message", dry_run = true, window = "ignore",
        account = { base_url = url, token = "K-1", sender = "Demo" }, params = { text = "hello" } }
      for name, value in pairs(more) do
        options[name] = value
      end
      return campaign.plan(options)
    end
    for check, rejected in pairs({ mobile_cn = 2, ascii = 2, phone_e164 = 4 }) do -- no number is both with and without a plus
      local job = assert(plan({ check = { phone = check } }))
      assert.equal(rejected, job.plan.rejected, check)
      job:close()
    end
    local job, err = plan({ set = { phone = "130" } })
    assert.is_nil(job)
    assert.matches("phone", err.message, 1, true)
  end)

  it("is called, listed and filled by the command under the path of its file", function()
    local env = environment()
    local result = command.campaign({ "call", PATH .. ".send_message", "-p", "text=hello", "-p", "recipients[0].phone=13000001111",
      "--window", "ignore" }, { env = env })
    assert.equal("", result.err)
    assert.equal("QUEUED", cjson.decode(result.out).state)
    result = command.campaign({ "operations", PATH, "--format", "tsv" }, { env = env })
    assert.matches("courier\tget_message\tGET\t/v1/messages/{id}\theader:X%-Courier%-Key\tnone\tjson", result.out)
    local list = command.write(folder .. "/list.csv", "recipient,mobile\n王芳,13000001111\n")
    result = command.campaign({ "import", list, "--to", PATH .. ".send_message", "-p", "text=hello", "--window", "ignore", "--job",
      folder .. "/job", "--json" }, { env = env })
    assert.equal(0, result.code, result.err)
    assert.equal(1, cjson.decode(result.out).accepted_pending)
    result = command.campaign({ "call", PATH .. ".send", "-p", "text=hello" }, { env = env })
    assert.equal(2, result.code)
    assert.matches("`campaign operations " .. PATH .. "` lists them", result.err, 1, true)
  end)
end)

describe("docs/add-a-platform.md", function()
  local guide = command.read("docs/add-a-platform.md")

  it("shows lines of the example as they stand there", function()
    local file = command.read(PATH)
    local shown = 0
    for block in guide:gmatch("\n```lua\n(.-)\n```") do
      if not block:find("campaign.connect", 1, true) then
        for line in block:gmatch("[^\n]+") do
          local text = line:gsub("^%s+", "")
          assert(text == "..." or file:find(text, 1, true), text)
          shown = shown + 1
        end
      end
    end
    assert.is_true(shown > 20)
  end)

  it("has commands that run", function()
    local count = 0
    for block in guide:gmatch("\n```sh\n(.-)\n```") do
      for line in block:gmatch("[^\n]+") do
        local words = {}
        for word in line:gmatch("%S+") do
          words[#words + 1] = word
        end
        if words[1] == "campaign" and words[2] ~= "call" and words[2] ~= "import" then
          local argv, skip = {}, false
          for index = 2, #words do
            if words[index] == "-o" then
              skip = true
            elseif not skip then
              argv[#argv + 1] = words[index]
            else
              skip = false
            end
          end
          local result = command.campaign(argv)
          assert.equal(0, result.code, line .. ": " .. result.err)
          count = count + 1
        end
      end
    end
    assert.is_true(count >= 4)
  end)
end)
