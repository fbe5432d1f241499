-- SPDX-License-Identifier: MIT
-- What nginx ends in the middle, because its client went away or a script killed the light thread, and what it held: a job's lock, the lock of an
-- account's token. Others in the same worker get them, without a reload and without anybody who collects garbage.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local json = require "campaign.json"
local nginx = require "support.nginx"
local raw_server = require "support.raw_server"
local socket = require "socket"

local HTTP = [[
  init_by_lua_block {
    campaign = require("campaign")
    local file = assert(io.open("%(order)"))
    order = assert(require("campaign.json").decode(file:read("*a")))
    file:close()
    phase = {} -- by job
    function import(job)
      return campaign.import{ source = order.list, to = "longlong.import_customers_async", account = order.accounts.longlong, job = job,
        rows_per_call = 20, concurrency = 2, on_progress = function(event) phase[job] = event.phase end }
    end
  }
]]

local SERVER = [[
  location = /killed { content_by_lua_block {
    local thread = ngx.thread.spawn(import, ngx.var.arg_job)
    while phase[ngx.var.arg_job] ~= "sending" do ngx.sleep(0.001) end
    ngx.sleep(0.1)
    ngx.print(tostring((ngx.thread.kill(thread))))
  } }
  location = /gone { lua_check_client_abort on; content_by_lua_block { import(ngx.var.arg_job) phase[ngx.var.arg_job] = "over" } }
  location = /phase { content_by_lua_block { ngx.print(phase[ngx.var.arg_job] or "none") } }
  location = /resume { content_by_lua_block {
    local job, err = campaign.open_job(ngx.var.arg_job, { account = order.accounts.longlong })
    local result
    if job then result, err = job:resume() end
    ngx.print(result and require("campaign.json").encode{ state = result.state, taken = result.taken_over, ambiguous = result.ambiguous } or tostring(err))
  } }
  location = /token { content_by_lua_block { require("nginx.everywhere_run").token("%(order)") } }
  location = /token-gone { lua_check_client_abort on; content_by_lua_block { require("nginx.everywhere_run").token("%(order)") } }
]]

describe("what nginx ends in the middle", function()
  local folder, server

  setup(function()
    imports.start()
    folder = command.folder()
    local list = command.write(folder .. "/people.csv", imports.people(600))
    command.write(folder .. "/order.json", json.encode({ accounts = imports.accounts, list = list }))
    server = nginx.new({ http = HTTP, server = SERVER, values = { order = folder .. "/order.json" } }):start()
  end)
  teardown(function()
    server:stop()
    imports.stop()
    command.remove(folder)
  end)

  -- A request whose client goes away as soon as `is_time`.
  local function leave(target, is_time)
    local client = assert(socket.connect("127.0.0.1", server.port))
    assert(client:send("GET " .. target .. " HTTP/1.1\r\nHost: x\r\n\r\n"))
    raw_server.eventually(is_time, "the request in the middle")
    client:close()
  end

  -- Every row is in the books, and none was sent twice; in doubt is what was in flight.
  local function assert_once(state, taken, ambiguous)
    assert.same({ "finished", 600 }, { state, taken + ambiguous })
    assert.is_true(ambiguous <= 40, tostring(ambiguous))
    local seen = {}
    for _, commit in ipairs(imports.commits()) do
      local phone = json.encode(commit.row):match("138%d+")
      assert.is_nil(seen[phone])
      seen[phone] = true
    end
  end

  it("an import whose client goes away lets go of its job within seconds, and another process resumes it", function()
    imports.reset({ "import_customers_async:delay=40@1-" })
    local job = folder .. "/gone"
    leave("/gone?job=" .. job, function() return #imports.commits() > 100 end)
    local limit = core.system.monotonic() + 30
    local function resume()
      local mine, err = campaign.open_job(job, { account = imports.accounts.longlong, env = imports.env() })
      if not mine then
        return nil, err
      end
      return mine:resume()
    end
    local result, err = resume()
    while not result and err.reason == "locked" and core.system.monotonic() < limit do
      core.system.sleep(0.1)
      result, err = resume()
    end
    assert.is_nil(err)
    assert.not_equal("over", server:get("/phase?job=" .. job).body)
    assert_once(result.state, result.taken_over, result.ambiguous)
  end)

  it("an import whose light thread is killed is resumed in the same worker at once", function()
    imports.reset({ "import_customers_async:delay=40@1-" })
    local job = folder .. "/killed"
    assert.equal("1", server:get("/killed?job=" .. job).body)
    local said = server:get("/resume?job=" .. job).body
    local done = assert(json.decode(said), said)
    assert_once(done.state, done.taken, done.ambiguous)
  end)

  it("a token that is fetched for a client that goes away is fetched to the end, and others have it", function()
    imports.reset({ "oauth_obtain_token:delay=500@1" })
    local function obtained() return assert(imports.handle:control("faults")).calls.oauth_obtain_token or 0 end
    leave("/token-gone", function() return obtained() == 1 end)
    local result = server:get("/token", { limits = { total = 20 } })
    assert.is_truthy((result.body or ""):find("%d ok$"), tostring(result.error or result.body))
    assert.equal(1, obtained())
  end)
end)
