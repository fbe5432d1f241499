-- SPDX-License-Identifier: MIT
-- An import with a function for each row inside nginx: the function may yield, and while it looks at rows the worker answers others.

local command = require "support.command"
local json = require "campaign.json"
local nginx = require "support.nginx"
local sandbox = require "campaign.sandbox"

local SERVER = [[
  location /import { content_by_lua_block {
    local campaign, core, json = require "campaign", require "campaign.core", require "campaign.json"
    local order = assert(json.decode(core.system.read_file("%(folder)/order.json", 65536)))
    local phases = {}
    local result, err = campaign.import{
      source = "%(folder)/list.csv", to = "longlong.import_customers_async", account = order.account, job = "%(folder)/job",
      on_progress = function(event) phases[event.phase] = true end,
      map = function(row, number)
        package.loaded.looked = number
        if number % 500 == 0 then
          ngx.sleep(0.001)
        end
        local till = core.system.monotonic() + 0.0002
        while core.system.monotonic() < till do end
        row.name = row.name .. "!"
        row.extra = number % 2 == 0 and number or nil
        if number == 1000 then
          return nil, "the thousandth"
        end
      end,
    }
    ngx.print(json.encode{ state = result and result.state, accepted = result and result.accepted_pending, rejected = result and result.rejected,
      reason = err and tostring(err), mapping = phases.mapping or false })
  } }
  location /here { content_by_lua_block { ngx.print(package.loaded.looked or 0) } }
]]

describe("a function for each row inside nginx", function()
  it("may yield, and leaves the worker to others between its rows", function()
    local handle = assert(sandbox.start{ clock = "2025-11-10 10:00:00", clock_rate = 0 })
    local server = nginx.new({ server = SERVER, workers = 1 }):start()
    local lines = { "name,phone" }
    for i = 1, 2000 do
      lines[#lines + 1] = ("N%d,138%08d"):format(i, i)
    end
    command.write(server.folder .. "/list.csv", table.concat(lines, "\n") .. "\n")
    command.write(server.folder .. "/order.json", json.encode{ account = handle.accounts.longlong })
    assert(server.transport:submit{ url = server.url .. "/import", account = "import", max_connection_age = 0 })
    local between, result = {}, nil
    while not result do
      local id, answer = server.transport:next(0.001)
      if id then
        result = assert(json.decode(answer.body), answer.body)
      else
        local row = tonumber(server:get("/here").body)
        between[#between + 1] = row > 0 and row < 2000 and row or nil
      end
    end
    assert.same({ state = "finished", accepted = 1999, rejected = 1, mapping = true }, result)
    assert.is_true(#between > 3, "nobody else was answered while the function looked at rows")
    local commits = assert(handle:control("commits?limit=10000")).commits
    assert.equal(1999, #commits)
    for _, entry in ipairs(commits) do
      local number = entry.row.phone:gsub("^1380*", "")
      assert.equal("N" .. number .. "!", entry.row.name)
    end
    assert.equal("", server:troubles())
    server:stop()
    handle:stop()
  end)
end)
