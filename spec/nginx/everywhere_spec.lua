-- SPDX-License-Identifier: MIT
-- The same user script in plain Lua and inside nginx, against the sandbox; and eight workers that need a token at the same moment.

local command = require "support.command"
local imports = require "support.imports"
local json = require "campaign.json"
local nginx = require "support.nginx"

local SERVER = [[
  location /content { content_by_lua_block { require("nginx.everywhere_run").handle("%(order)", "content") } }
  location /access { access_by_lua_block { require("nginx.everywhere_run").handle("%(order)", "access") } }
  location /rewrite { rewrite_by_lua_block { require("nginx.everywhere_run").handle("%(order)", "rewrite") } }
  location /timer { content_by_lua_block { require("nginx.everywhere_run").handle("%(order)", "timer") } }
  location /thread { content_by_lua_block { require("nginx.everywhere_run").handle("%(order)", "thread") } }
  location /token { content_by_lua_block { require("nginx.everywhere_run").token("%(order)") } }
]]

describe("a user's script", function()
  local folder, order, server

  setup(function()
    imports.start()
    folder = command.folder()
    order = folder .. "/order.json"
    local list = command.write(folder .. "/people.csv", imports.people(1000, function(i)
      return i % 100 == 7 and ("c-%05d,客户%d,,公司,老客户"):format(i, i) or nil -- no phone
    end))
    command.write(order, json.encode({ accounts = imports.accounts, list = list }))
    server = nginx.new({ server = SERVER, values = { order = order }, workers = 8 }):start()
  end)
  teardown(function()
    server:stop()
    imports.stop()
    command.remove(folder)
  end)

  local WANTED = "^groups %d+; tasks table; missing http; import finished, accepted 990, rejected 10 of 1000$"

  for _, where in ipairs({ "content", "access", "rewrite", "timer", "thread" }) do
    it("runs unchanged inside nginx: " .. where, function()
      imports.reset()
      local said = server:get("/" .. where).body
      assert.is_truthy(said:match(WANTED), said)
      assert.equal(990, #imports.commits("import_customers_async"))
    end)
  end

  it("makes no global that nginx warns of", function()
    assert.is_nil(server:read_log():match("[^\n]*writing a global[^\n]*"))
  end)

  for _, lua in ipairs({ "lua5.4", "luajit" }) do
    it("runs unchanged in plain Lua: " .. lua, function()
      imports.reset()
      local run = command.run({ lua, command.ROOT .. "/spec/nginx/everywhere_run.lua", order, order .. "-" .. lua }, { env = {
        CAMPAIGN_STATE_DIR = folder .. "/state-" .. lua, LUA_PATH = command.ROOT .. "/lua/?.lua;" .. command.ROOT .. "/lua/?/init.lua;"
          .. command.ROOT .. "/spec/?.lua;;", LUA_CPATH = (os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build") .. "/" .. lua .. "/?.so;;",
      } })
      assert.is_truthy(run.out:match(WANTED:sub(1, -2)), run.out .. run.err)
      assert.equal(990, #imports.commits("import_customers_async"))
    end)
  end

  it("asks for one token however many workers need it at once", function()
    imports.reset()
    command.remove(server.folder .. "/state")
    local function obtained() return assert(imports.handle:control("faults")).calls.oauth_obtain_token or 0 end
    local before = obtained()
    for _ = 1, 48 do
      assert(server.transport:submit({ url = server.url .. "/token", account = "token", max_connection_age = 0 }))
    end
    local workers, count = {}, 0
    for _, result in function() return server.transport:next(60) end do
      local pid, said = (result.body or ""):match("^(%d+) (.*)$") -- linear: a fixed character between
      assert.equal("ok", said, tostring(result.error or result.body))
      count = count + (workers[pid] and 0 or 1)
      workers[pid] = true
    end
    assert.equal(before + 1, obtained())
    assert.is_true(count > 1, "only one worker took part")
  end)
end)
