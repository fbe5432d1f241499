-- SPDX-License-Identifier: MIT
-- Two imports into one target inside nginx, in one worker and in two: the second waits without holding a worker (held, the first could never end),
-- and both are sent whole, one after the other.

local command = require "support.command"
local json = require "campaign.json"
local nginx = require "support.nginx"
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
end)
