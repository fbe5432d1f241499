-- SPDX-License-Identifier: MIT
-- report.html made inside nginx: the same page as elsewhere, and while the ledger adds up a hundred thousand calls the worker does other things.

local campaign = require "campaign"
local command = require "support.command"
local imports = require "support.imports"
local nginx = require "support.nginx"

local SERVER = [[
  location = /report { content_by_lua_block {
    local campaign = require "campaign"
    local ticks, is_over = 0, false
    local ticker = ngx.thread.spawn(function()
      while not is_over do ngx.sleep(0.001) ticks = ticks + 1 end
    end)
    local job, err = campaign.open_job(ngx.var.arg_job)
    local path
    if job then
      ticks = 0
      path, err = job:report()
    end
    is_over = true
    ngx.thread.wait(ticker)
    ngx.print(path or tostring(err), " ", ticks)
  } }
]]

-- What differs between two makings of one page.
local function settled(page)
  return (page:gsub("%d+%-%d+%-%d+ %d+:%d+:%d+ %S+", "TIME"):gsub("Lua[JIT]* [%d%.]+[%-%w]*", "LUA"))
end

describe("report.html inside nginx", function()
  local server

  setup(function()
    imports.start()
    server = nginx.new({ server = SERVER }):start()
  end)
  teardown(function()
    server:stop()
    imports.stop()
  end)

  local function made(job)
    local path, ticks = server:get("/report?job=" .. job).body:match("^(%S+) (%d+)$")
    assert.equal(job .. "/report.html", path)
    return command.read(path), tonumber(ticks)
  end

  it("is the page that any other Lua makes, and the worker goes on meanwhile #heavy", function()
    local result = assert(imports.import("longlong.import_customers_async", imports.people(30, function(i)
      return i == 2 and "c,B,,x,y" or nil
    end), { rows_per_call = 10 }))
    local page = made(result.job)
    assert.equal(settled(command.read(assert(assert(campaign.open_job(result.job)):report()))), settled(page))
    local done = command.run({ "sqlite3", result.job .. "/ledger.db", [[
      WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 100099)
        INSERT INTO batch (seq, state, attempts, offset, bytes, first_row, first_line, rows, accepted, body_bytes)
        SELECT i, 'A', 1, 0, 0, i * 100, i * 100, 100, 100, 0 FROM n;
      INSERT INTO attempt (id, batch, number, fence, owner, began, ended, verdict, status, seconds)
        SELECT seq * 1048576 + 1, seq, 1, 1, 'x', 1700000000 + seq * 0.1, 1700000000.2 + seq * 0.1, 'accepted', 200, 0.01 + (seq % 97) / 50.0
        FROM batch WHERE seq >= 100;]] })
    assert.same({ 0, "" }, { done.code, done.err })
    local big, ticks = made(result.job)
    assert(big:find("100,003", 1, true))
    assert(ticks > 20, ticks)
  end)
end)
