-- SPDX-License-Identifier: MIT
-- examples/openresty does what docs/openresty.md says: started by its one command, against the sandbox.

local command = require "support.command"
local core = require "campaign.core"
local curl = require "campaign.transport.curl"
local imports = require "support.imports"
local nginx = require "support.nginx"
local raw_server = require "support.raw_server"

describe("examples/openresty", function()
  local process, transport, folder, url

  setup(function()
    imports.start()
    folder = command.folder()
    local port = nginx.free_port()
    url = "http://127.0.0.1:" .. port
    local account = imports.accounts.longlong
    process = assert(core.system.spawn{
      command.ROOT .. "/examples/openresty/start", tostring(port), group = true, stdout = folder .. "/out", stderr = folder .. "/err",
      env = { CAMPAIGN_LONGLONG_BASE_URL = account.base_url, CAMPAIGN_LONGLONG_TOKEN = account.token,
        CAMPAIGN_LONGLONG_USER_ID = account.user_id,
        BUILD = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build" },
    })
    transport = curl.new()
    raw_server.eventually(function()
      return transport:perform({ url = url .. "/status" }).status == 200
    end, "the example: " .. command.read(folder .. "/err"))
  end)
  teardown(function()
    process:signal("TERM")
    process:wait(10)
    process:close()
    transport:close()
    imports.stop()
    command.remove(folder)
  end)

  local function post(path, body)
    return transport:perform({ url = url .. path, method = "POST", body = body or "",
      headers = { { "Content-Type", "application/x-www-form-urlencoded" } } })
  end

  it("turns a lead form into a call", function()
    imports.reset()
    local result = post("/lead", "name=%E8%87%A7%E8%8A%B3&phone=13812345678")
    assert.equal(202, result.status, result.body)
    assert.equal(1, #imports.commits("import_customers_async"))
    assert.equal(400, post("/lead", "name=x").status)
    assert.equal(405, transport:perform({ url = url .. "/lead" }).status)
    assert.equal(1, #imports.commits("import_customers_async"))
  end)

  it("imports a list by a timer and tells where it is", function()
    imports.reset()
    assert.equal(202, post("/import").status)
    local status
    raw_server.eventually(function()
      status = transport:perform({ url = url .. "/status" }).body
      return status:find('"finished"', 1, true) or status:find('"failed"', 1, true) or status:find('"stopped"', 1, true)
    end, "the end of the import")
    assert.is_truthy(status:find('"phase":"finished"', 1, true), status)
    assert.is_true(#imports.commits("import_customers_async") > 0)
  end)
end)
