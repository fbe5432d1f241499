-- SPDX-License-Identifier: MIT
-- Two imports into one target inside nginx, in one worker and in two: the second waits without holding a worker (held, the first could never end),
-- and both are sent whole, one after the other.

local command = require "support.command"
local core = require "campaign.core"
local json = require "campaign.json"
local nginx = require "support.nginx"
local raw_server = require "support.raw_server"
local sandbox = require "campaign.sandbox"

local SERVER = [[
  location /import { content_by_lua_block {
    local campaign, core, json = require "campaign", require "campaign.core", require "campaign.json"
    local text = core.system.read_file("%(folder)/order.json", 65536)
    local order, waited = assert(json.decode(text)), 0
    local result, err = campaign.import{
      source = "%(folder)/" .. ngx.var.arg_job .. ".csv", to = "outbound.upload_dnc_json", account = order.account, params = { dataSourceName = "acme-dnc" },
      rows_per_call = 50, job = "%(folder)/" .. ngx.var.arg_job, busy = ngx.var.arg_busy,
      on_progress = function(event) waited = waited + (event.wait_for == "target" and 1 or 0) end,
    }
    ngx.print(json.encode{ state = result and result.state, accepted = result and result.accepted, reason = err and err.reason, waited = waited })
  } }
  location /submit { content_by_lua_block {
    local core, json = require "campaign.core", require "campaign.json"
    if not package.loaded.line then
      local order = json.decode(core.system.read_file("%(folder)/order.json", 65536))
      package.loaded.line = require("campaign.openresty.jobs").new{ folder = "%(folder)/jobs", to = "outbound.upload_dnc_json",
        account = order.account, params = { dataSourceName = "acme-dnc" }, busy = "refuse", retry = 0.3 }
      package.loaded.line:watch(0.1)
    end
    local draft = assert(package.loaded.line:create())
    core.system.write_atomic(draft.list, "uuid\nthree-1\n")
    assert(package.loaded.line:submit(draft))
    ngx.print(draft.id)
  } }
  location /here { content_by_lua_block { ngx.print("here") } }
]]

describe("the lock of a target inside nginx", function()
  local handle, server

  after_each(function()
    server:stop()
    handle:stop()
  end)

  for _, workers in ipairs({ 1, 2 }) do
    it("is waited for without holding a worker, with " .. workers, function()
      handle = assert(sandbox.start{ clock = "2025-11-10 10:00:00", clock_rate = 0, faults = { "upload_dnc_json:delay=300@1-4" } })
      server = nginx.new({ server = SERVER, workers = workers }):start()
      for _, job in ipairs({ "one", "two" }) do
        local lines = { "uuid" }
        for i = 1, 100 do
          lines[#lines + 1] = job .. "-" .. i
        end
        command.write(server.folder .. "/" .. job .. ".csv", table.concat(lines, "\n") .. "\n")
      end
      command.write(server.folder .. "/order.json", json.encode{ account = handle.accounts.outbound })

      local results, ids, answered = {}, {}, 0
      for _, job in ipairs({ "one", "two" }) do
        ids[assert(server.transport:submit{ url = server.url .. "/import?busy=wait&job=" .. job, account = "import", max_connection_age = 0 })] = job
      end
      while not (results.one and results.two) do
        local id, result = server.transport:next(0.01)
        if id then
          results[ids[id]] = assert(json.decode(result.body), result.body)
        elseif not (results.one or results.two) then
          assert.equal("here", server:get("/here").body)
          answered = answered + 1
        end
      end
      assert.same({ "finished", 100, "finished", 100 }, { results.one.state, results.one.accepted, results.two.state, results.two.accepted })
      assert.is_true(answered > 3)
      assert.is_true(results.one.waited + results.two.waited > 0)
      local order = {}
      for _, entry in ipairs(assert(handle:control("commits?limit=1000")).commits) do
        order[#order + 1] = type(entry.row) == "table" and entry.row[1] or entry.row
      end
      assert.equal(200, #order)
      local first = order[1]:match("^%l+")
      for i = 1, 100 do
        assert.same({ first .. "-" .. i, (first == "one" and "two-" or "one-") .. i }, { order[i], order[100 + i] })
      end
      assert.equal("", server:troubles())
    end)
  end

  it("has a job that refuses to wait for it tried again later, not failed", function()
    handle = assert(sandbox.start{ clock = "2025-11-10 10:00:00", clock_rate = 0, faults = { "upload_dnc_json:delay=700@1-2" } })
    server = nginx.new({ server = SERVER, workers = 1 }):start()
    local lines = { "uuid" }
    for i = 1, 100 do
      lines[#lines + 1] = "one-" .. i
    end
    command.write(server.folder .. "/one.csv", table.concat(lines, "\n") .. "\n")
    command.write(server.folder .. "/order.json", json.encode{ account = handle.accounts.outbound })
    assert(server.transport:submit{ url = server.url .. "/import?busy=wait&job=one", account = "import", max_connection_age = 0 })
    raw_server.eventually(function()
      server.transport:next(0.01)
      return core.system.stat(server.folder .. "/one/ledger.db")
    end, "the first import")
    assert(not server.transport:next(0.3))
    local folder, held = server.folder .. "/jobs/" .. server:get("/submit").body, nil
    raw_server.eventually(function()
      held = held or core.system.stat(folder .. "/waiting.json") and json.decode(command.read(folder .. "/waiting.json"))
      return held
    end, "a refusal that is kept")
    assert.same({ "ledger", "busy" }, { held.error.kind, held.error.reason })
    raw_server.eventually(function() return core.system.stat(folder .. "/order.json") end, "the end of the job")
    assert.equal("finished", json.decode(command.read(folder .. "/job/report.json")).state)
    assert.is_nil(core.system.stat(folder .. "/failed.json"))
    assert.equal(101, assert(handle:control("commits?limit=1")).total)
  end)
end)
