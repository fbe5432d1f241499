-- SPDX-License-Identifier: MIT
-- Waiting for the disk in an nginx worker: by a bell where waits follow one another, by short sleeps where no socket is to be had; and nothing
-- of it holds a worker that leaves.

local command = require "support.command"
local core = require "campaign.core"
local nginx = require "support.nginx"

local SERVER = [[
  location = /syncs { content_by_lua_block {
    local core, home, sync = require "campaign.core", require "campaign.openresty.env", require "campaign.openresty.sync"
    local sleep, sleeps, wrong = home.sleep, 0, 0
    function home.sleep(seconds) sleeps = sleeps + 1 return sleep(seconds) end
    local threads = {}
    for thread = 1, 4 do
      threads[thread] = ngx.thread.spawn(function()
        for number = 1, 50 do
          local path, text = ngx.var.arg_folder .. "/" .. thread, ("%d of %d"):format(number, thread)
          local ok = sync.write_atomic(path, text)
          if not ok or core.system.read_file(path) ~= text then wrong = wrong + 1 end
        end
      end)
    end
    for _, thread in ipairs(threads) do ngx.thread.wait(thread) end
    home.sleep = sleep
    ngx.print(sleeps, " ", wrong, " ", sync.pending())
  } }
  location = /one { content_by_lua_block {
    ngx.print(tostring(require("campaign.openresty.sync").write_atomic(ngx.var.arg_folder .. "/one", "1")))
  } }
  location = /ledger { content_by_lua_block {
    local core = require "campaign.core"
    local ledger = assert(require("campaign.ledger").open(ngx.var.arg_folder .. "/" .. ngx.var.arg_name, { create = true }))
    assert(ledger:job_put{ id = "j", state = "planned", record = "0" })
    for number = 1, 60 do assert(ledger:job_put{ id = "j", state = "running", record = tostring(number) }) end
    ledger:close()
    ledger = assert(require("campaign.ledger").open(ngx.var.arg_folder .. "/" .. ngx.var.arg_name, {}))
    ngx.print(ledger:job_get().record)
    ledger:close()
  } }
  location = /silent { lua_check_client_abort on; content_by_lua_block { ngx.sleep(30) } }
  location = /both { content_by_lua_block {
    local core = require "campaign.core"
    local ledger = assert(require("campaign.ledger").open(ngx.var.arg_folder .. "/" .. ngx.var.arg_name, { create = true, background = true }))
    local transport = assert(require("campaign.transport.openresty").new())
    local id = assert(transport:submit{ url = "http://127.0.0.1:" .. ngx.var.server_port .. "/silent", account = "spec" })
    local began, early, answers = core.system.monotonic(), 0, 0
    for number = 1, 40 do
      assert(ledger:record({ { row = number, state = "rejected", cause = "check" } }))
      assert(ledger:start())
      while ledger:settled() == false do
        answers = answers + (transport:next(2, ledger) and 1 or 0)
        early = early + (ledger:busy() and 1 or 0)
      end
    end
    local seconds = core.system.monotonic() - began
    assert(transport:next(30, ledger) == nil, "there is no commit to wait for")
    assert(ledger:record({ { row = 41, state = "rejected", cause = "check" } }))
    assert(ledger:start())
    transport:cancel(id)
    local other = transport:next(2, ledger) or transport:next(2)
    ngx.print(("%.3f %d %d %s"):format(seconds, early, answers, tostring(other == id)))
    transport:close()
    ledger:close()
  } }
]]

describe("campaign.openresty.bell", function()
  local folder
  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  local function started(options)
    return nginx.new({ server = SERVER, workers = 1, main = options and options.main or "", env = options and options.env }):start()
  end

  it("wakes whoever waits for the disk, so that no sleeps are needed", function()
    local server = started()
    local sleeps, wrong, pending = server:get("/syncs?folder=" .. folder).body:match("^(%d+) (%d+) (%d+)$")
    assert.same({ "0", "0" }, { wrong, pending })
    assert.is_true(tonumber(sleeps) <= 40, sleeps .. " sleeps for 200 files")
    assert.equal("60", server:get("/ledger?name=a.db&folder=" .. folder).body)
    assert.equal("true", server:get("/one?folder=" .. folder).body)
    local began = core.system.monotonic()
    server:stop()
    assert.is_true(core.system.monotonic() - began < 10, "the bell holds a worker that leaves")
  end)

  it("ends a wait for answers when a commit is over", function()
    local server = started()
    local seconds, rest = server:get("/both?name=a.db&folder=" .. folder).body:match("^(%S+) %d+ (.+)$")
    assert.equal("0 true", rest)
    assert.is_true(tonumber(seconds) < 20, seconds .. " s: whole waits of 2 s for 40 commits")
    local began = core.system.monotonic()
    server:stop()
    assert.is_true(core.system.monotonic() - began < 10, "who listens holds a worker that leaves")
    server = nginx.new({ server = SERVER, workers = 1, main = "env TMPDIR;", env = { TMPDIR = folder .. "/nowhere" } }):start()
    seconds, rest = server:get("/both?name=b.db&folder=" .. folder).body:match("^(%S+) %d+ (.+)$")
    assert.equal("0 true", rest)
    assert.is_true(tonumber(seconds) < 20, seconds .. " s without a socket")
    server:stop()
  end)

  it("does without a socket where none is to be had", function()
    local server = started({ main = "env TMPDIR;", env = { TMPDIR = folder .. "/nowhere" } })
    local sleeps, rest = server:get("/syncs?folder=" .. folder).body:match("^(%d+) (%d+ %d+)$")
    assert.equal("0 0", rest)
    assert.is_true(tonumber(sleeps) >= 50, sleeps .. " sleeps")
    assert.equal("60", server:get("/ledger?name=b.db&folder=" .. folder).body)
    server:stop()
  end)

  it("is another one after a reload, and none that anybody waits for in the worker that leaves", function()
    local server = started()
    for round = 1, 3 do
      local id = assert(server.transport:submit({ url = server.url .. "/syncs?folder=" .. folder, account = "spec", max_connection_age = 0 }))
      server:signal("HUP")
      local got, result = server.transport:next(30)
      assert.equal(id, got)
      assert.equal("0 0", (result.body or ""):match("^%d+ (%d+ %d+)$"), "round " .. round .. ": " .. tostring(result.error))
    end
    server:stop()
  end)
end)
