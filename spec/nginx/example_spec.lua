-- SPDX-License-Identifier: MIT
-- examples/openresty does what docs/openresty.md says: started by its one command, against a sandbox of the spec's or of its own.

local command = require "support.command"
local core = require "campaign.core"
local curl = require "campaign.transport.curl"
local imports = require "support.imports"
local json = require "campaign.json"
local nginx = require "support.nginx"
local raw_server = require "support.raw_server"

describe("examples/openresty", function()
  local process, transport, folder, data, url

  local function start(env)
    local port = nginx.free_port()
    url = "http://127.0.0.1:" .. port
    env.BUILD = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"
    process = assert(core.system.spawn{
      command.ROOT .. "/examples/openresty/start", tostring(port), data, group = true, stdout = folder .. "/out",
      stderr = folder .. "/err", env = env,
    })
    raw_server.eventually(function()
      assert(not process:wait(0), command.read(folder .. "/err"))
      return transport:perform({ url = url .. "/health" }).status == 200
    end, "the example")
  end

  local function stop()
    process:signal("TERM")
    assert(process:wait(20))
    process:close()
  end

  setup(function()
    imports.start()
    transport = curl.new()
    folder = command.folder()
    data = folder .. "/data | of a & b" -- what the script's own tools take for signs of theirs
  end)
  teardown(function()
    transport:close()
    imports.stop()
    command.remove(folder)
  end)

  local function post(path, body, form)
    local result = transport:perform({ url = url .. path, method = "POST", body = body,
      headers = form and { { "Content-Type", "application/x-www-form-urlencoded" } } or nil })
    return result.status, json.decode(result.body or "") or tostring(result.error)
  end

  local function get(path)
    return transport:perform({ url = url .. path }).body
  end

  it("takes leads, lists and callbacks, and tells of them", function()
    imports.reset()
    local account = imports.accounts.longlong
    start({ CAMPAIGN_LONGLONG_BASE_URL = account.base_url, CAMPAIGN_LONGLONG_TOKEN = account.token,
      CAMPAIGN_LONGLONG_USER_ID = account.user_id })
    local secret = command.read(data .. "/callback.secret")
    assert(imports.handle:control("settings", { ["longlong.callback_url"] = url .. "/callbacks/" .. secret, ["longlong.result_delay"] = 0 }))
    local status, said = post("/lead", "name=%E8%87%A7%E8%8A%B3&phone=13812345678", true)
    assert.same({ 202, "accepted_pending" }, { status, said.state }, json.encode(said))
    status, said = post("/lead", "name=x&phone=123", true)
    assert.same({ 422, "phone" }, { status, said.column })
    status, said = post("/upload", core.form{ { name = "file", filename = "people.csv", value = imports.people(50) } })
    assert.equal(202, status)
    local done
    raw_server.eventually(function()
      done = json.decode(get(said.status))
      return done.state == "finished" or done.state == "failed"
    end, "the end of the import")
    assert.same({ "finished", 50 }, { done.state, done.accepted_pending }, json.encode(done))
    assert.equal(51, #imports.commits("import_customers_async"))
    assert.is_truthy(core.system.stat(data .. "/leads") and core.system.stat(data .. "/jobs"))
    raw_server.eventually(function()
      return get("/metrics"):find('campaign_callback_bodies_total{kind="first"} 2', 1, true)
    end, "two callbacks")
    assert.is_truthy(get("/"):find("<form", 1, true))
    stop()
  end)

  it("plays with a sandbox of its own where no account is set, and ends it", function()
    start({ CAMPAIGN_LONGLONG_BASE_URL = false })
    local status, said = post("/lead", "name=x&phone=13812345678&id=1", true)
    assert.same({ 202, "accepted_pending" }, { status, said.state }, json.encode(said))
    stop()
    assert.is_truthy(command.read(folder .. "/out"):find("playing with a sandbox", 1, true))
    local at = command.read(folder .. "/out"):match("sandbox at (%S+)")
    assert.equal("network", transport:perform({ url = at }).error.kind)
  end)
end)
