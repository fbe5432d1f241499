-- SPDX-License-Identifier: MIT
-- Imports inside nginx, which take the fast path there, beside the same in plain Lua: the same list against the same sandbox with the same faults
-- comes to the same outcome, row by row and batch by batch.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local json = require "campaign.json"
local nginx = require "support.nginx"

local LONGLONG = "longlong.import_customers_async"
local TUZHAN = "tuzhan.batch_add_group_relations"

local HTTP = [[
  init_by_lua_block {
    -- How requests left: with a template, or each by itself.
    counts = { regular = 0, fast = 0 }
    function import(path)
      local transport = require("campaign.transport.openresty")
      local new = transport.new
      function transport.new(...)
        local made = assert(new(...))
        local submit, submit_like = made.submit, made.submit_like
        function made.submit(self, request)
          counts.regular = counts.regular + 1
          return submit(self, request)
        end
        function made.submit_like(self, template, sources, count, ...)
          counts.fast = counts.fast + count
          return submit_like(self, template, sources, count, ...)
        end
        return made
      end
      counts.regular, counts.fast = 0, 0
      local file = assert(io.open(path))
      local options = assert(require("campaign.json").decode(file:read("*a")))
      file:close()
      local result, err = require("campaign").import(options)
      transport.new = new
      return require("campaign.json").encode{ done = result ~= nil, problem = tostring(err), regular = counts.regular, fast = counts.fast }
    end
  }
]]

-- What both must agree in.
local function facts_of(options, operation)
  local job = assert(campaign.open_job(options.job, { account = options.account }))
  local lines = io.lines(options.job .. "/batches.jsonl")
  local batches, rows = imports.facts(operation, function()
    local line = lines()
    return line and assert(json.decode(line))
  end)
  local status = assert(job:status())
  return { batches = batches, rows = rows, state = status.state,
    counts = { status.rows, status.accepted, status.accepted_pending, status.rejected, status.ambiguous, status.pending } }
end

describe("the fast path inside nginx", function()
  local folder, server

  setup(function()
    imports.start({ clock_rate = 1 })
    folder = command.folder()
    server = nginx.new({ http = HTTP, server = [[
      location = /import { content_by_lua_block { ngx.print(import(ngx.var.arg_order)) } }
    ]] }):start()
  end)
  teardown(function()
    server:stop()
    imports.stop()
    command.remove(folder)
  end)

  local function options_of(to, text, faults, more)
    imports.reset(faults, 7)
    local options = imports.options(to, text, more)
    options.env = nil
    options.concurrency = options.concurrency or 1 -- one after another: which call meets a fault is then certain
    return options
  end

  local function inside(to, text, faults, more)
    local options = options_of(to, text, faults, more)
    local path = command.write(folder .. "/order.json", json.encode(options))
    local said = assert(json.decode(server:get("/import?order=" .. path).body))
    assert.is_true(said.done, said.problem)
    return facts_of(options, to:match("%.(.*)$")), said
  end

  local function outside(to, text, faults, more)
    local options = options_of(to, text, faults, more)
    assert(campaign.import(options))
    return facts_of(options, to:match("%.(.*)$"))
  end

  it("is taken by all but the first batch in flight", function()
    local text = imports.people(1203)
    local wanted = outside(LONGLONG, text)
    local found, said = inside(LONGLONG, text)
    assert.same(wanted, found)
    assert.same({ 1, 6 }, { said.regular, said.fast })
    assert.equal(1203, #found.rows)
  end)

  it("is taken with many in flight, each row once", function()
    local found, said = inside(LONGLONG, imports.people(4003), nil, { concurrency = 8, rows_per_call = 50 })
    assert.equal(4003, #found.rows)
    assert.is_true(said.fast > 60, said.fast)
    assert.equal(81, said.fast + said.regular)
  end)

  it("comes to what plain Lua comes to where calls are refused, in doubt, or to be sent again", function()
    local text = imports.people(1203)
    for _, kind in ipairs({ "400", "code=500", "close-after-read", "after-commit-close", "after-commit-500", "truncate-body", "bad-json" }) do
      for _, to in ipairs({ LONGLONG, TUZHAN }) do
        local faults, more = { to:match("%.(.*)$") .. ":" .. kind .. "@3" }, { rows_per_call = 200 }
        local found, said = inside(to, text, faults, more)
        assert.same(outside(to, text, faults, more), found, to .. " " .. kind)
        assert.is_true(said.fast >= 2, to .. " " .. kind .. ": " .. said.fast)
      end
    end
  end)

  it("goes on with the next access token when one runs out", function()
    local meadow = assert(core.system.spawn{ command.LUA == "5.4" and "lua5.4" or "luajit", "spec/support/meadow_server.lua", pipe = true })
    local url = "http://127.0.0.1:" .. assert(meadow:read_line(30))
    local function order(query)
      return assert(json.decode(assert(server.transport:perform{ method = "POST", url = url .. "/test?" .. query, account = "orders" }).body))
    end
    order("life=2") -- it is renewed after one and a half seconds
    local list = { "openid" }
    for i = 1, 3000 do
      list[#list + 1] = ("open-%04d"):format(i)
    end
    local path = command.write(folder .. "/order.json", json.encode({
      source = command.write(folder .. "/followers.csv", table.concat(list, "\n") .. "\n"), job = folder .. "/followers", rate = 20, concurrency = 2,
      to = command.ROOT .. "/examples/platforms/meadow.lua.label_followers", params = { tagid = "134" },
      account = { base_url = url, app_id = "wx-1", app_secret = "S-3cret/+=" },
    }))
    local said = assert(json.decode(server:get("/import?order=" .. path).body))
    assert.is_true(said.done, said.problem)
    local seen, tokens = order("x=1"), 0
    for _, what in ipairs(seen.asked) do
      tokens = tokens + (what == "GET /cgi/token" and 1 or 0)
    end
    meadow:close()
    assert.equal(3000, seen.followers)
    assert.is_true(tokens >= 2 and tokens <= 4, tokens)
    assert.is_true(said.fast > 40, said.fast)
  end)
end)
