-- SPDX-License-Identifier: MIT
-- An import of an Excel workbook inside nginx: while sheets are read, the worker answers others.

local command = require "support.command"
local json = require "campaign.json"
local nginx = require "support.nginx"
local sandbox = require "campaign.sandbox"
local workbooks = require "spec.support.workbooks"

local ROWS = 30000

local SERVER = [[
  location /import { content_by_lua_block {
    local campaign, core, json = require "campaign", require "campaign.core", require "campaign.json"
    local order = assert(json.decode(core.system.read_file("%(folder)/order.json", 65536)))
    local result, err = campaign.import{
      source = "%(folder)/list.xlsx", to = "longlong.import_customers_async", account = order.account, job = "%(folder)/job",
      suppress = "%(folder)/dnc.xlsx:phone", on_progress = function(event) package.loaded.phase = event.phase end,
    }
    ngx.print(json.encode{ state = result and result.state, accepted = result and result.accepted_pending, suppressed = result and result.suppressed,
      reason = err and tostring(err) })
  } }
  location /phase { content_by_lua_block { ngx.print(package.loaded.phase or "") } }
]]

describe("a workbook inside nginx", function()
  it("is read while the worker answers others", function()
    local handle = assert(sandbox.start{ clock = "2025-11-10 10:00:00", clock_rate = 0 })
    local server = nginx.new({ server = SERVER, workers = 1 }):start()
    local rows, dnc = { { "name", "phone", "note" } }, { { "phone" } }
    for i = 1, ROWS do
      rows[#rows + 1] = { "N" .. i, 13800000000 + i, ("a long remark about customer %d "):format(i):rep(8) }
      dnc[#dnc + 1] = i % 10 == 0 and { 13800000000 + i } or { 13900000000 + i }
    end
    workbooks.write(server.folder .. "/list.xlsx", { rows = workbooks.rows(rows) })
    workbooks.write(server.folder .. "/dnc.xlsx", { rows = workbooks.rows(dnc) })
    command.write(server.folder .. "/order.json", json.encode{ account = handle.accounts.longlong })
    assert(server.transport:submit{ url = server.url .. "/import", account = "import", max_connection_age = 0 })
    local reading, result = 0, nil
    while not result do
      local id, answer = server.transport:next(0.001)
      if id then
        result = assert(json.decode(answer.body), answer.body)
      elseif server:get("/phase").body == "reading" then
        reading = reading + 1
      end
    end
    assert.same({ state = "finished", accepted = ROWS * 0.9, suppressed = ROWS * 0.1 }, result)
    assert.is_true(reading > 3, "nobody else was answered while the sheet was read")
    assert.equal("", server:troubles())
    server:stop()
    handle:stop()
  end)
end)
