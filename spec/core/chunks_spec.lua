-- SPDX-License-Identifier: MIT
-- Modules come compiled with the core, and nobody can tell but by the clock: an edited source counts, messages name the file and the line.

local command = require "spec.support.command"
local core = require "campaign.core"

local jit = rawget(_G, "jit")
local searchers = package.searchers or package.loaders -- luacheck: ignore
local searchpath = package.searchpath -- luacheck: ignore

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

-- A folder with a copy of a module's source, first in package.path while `act` runs.
local function with_copy(name, change, act)
  local folder = os.tmpname()
  os.remove(folder)
  local path = folder .. "/" .. name:gsub("%.", "/") .. ".lua"
  assert(os.execute("mkdir -p '" .. path:match("^(.*)/") .. "'"))
  write(path, change(read(assert(searchpath(name, package.path)))))
  local before = package.path
  package.path = folder .. "/?.lua;" .. before
  local ok, problem = pcall(act, path)
  package.path = before
  os.execute("rm -r '" .. folder .. "'")
  assert(ok, problem)
end

-- What the searcher of compiled modules says.
local function found(name)
  return searchers[2](name)
end

describe("compiled modules", function()
  it("are there for every module, with the path of the source", function()
    local pipe = io.popen("find lua/campaign -name '*.lua'")
    local count = 0
    for path in pipe:lines() do
      local name = path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
      local chunk, where = found(name)
      assert.equal("function", type(chunk), name)
      assert.equal(searchpath(name, package.path), where)
      assert.equal("@" .. where, debug.getinfo(chunk, "S").source)
      assert.truthy(core.chunk(name, where), name)
      count = count + 1
    end
    pipe:close()
    assert.is_true(count > 200)
  end)

  it("have the lines of their source", function()
    local path = assert(searchpath("campaign.human", package.path))
    local compiled, loaded = found("campaign.human")(), assert(loadfile(path))()
    for name, value in pairs(loaded) do
      if type(value) == "function" then
        local expected, got = debug.getinfo(value, "SL"), debug.getinfo(compiled[name], "SL")
        assert.equal(expected.linedefined, got.linedefined, name)
        assert.equal(expected.short_src, got.short_src)
        assert.same(expected.activelines, got.activelines, name)
      end
    end
  end)

  it("give way to a source that was changed, by one byte or more", function()
    for _, change in ipairs({
      function(text) return text .. "\n" end,
      function(text) return (text:gsub("local M = {}", "local N = {}", 1)) end,
      function(text) return text:sub(1, -2) end,
      function() return "" end,
    }) do
      with_copy("campaign.human", change, function(path)
        assert.is_nil(found("campaign.human"))
        assert.is_nil(core.chunk("campaign.human", path))
      end)
    end
  end)

  it("are used for a copy of the source in another place, however long its path", function()
    with_copy("campaign.human", function(text) return text end, function(path)
      local chunk, where = found("campaign.human")
      assert.equal(path, where)
      assert.equal("@" .. path, debug.getinfo(chunk, "S").source)
      assert.equal("table", type(chunk()))
      for _, length in ipairs({ 125, 126, 127, 128, 129, 300, 900 }) do
        local long = path:match("^(.*)/") .. "/" .. ("./"):rep(math.floor((length - #path) / 2) + length % 2) .. "human.lua"
        local same = assert(core.chunk("campaign.human", long))
        assert.equal("@" .. long, debug.getinfo(same, "S").source)
      end
      assert.is_nil(core.chunk("campaign.human", ("/."):rep(600) .. path))
    end)
  end)

  it("are none of what is no module of ours or not there", function()
    for _, name in ipairs({ "campaign.no_such", "campaignx", "cjson", "", "campaign.", "campaign.human\0" }) do
      assert.is_nil(found(name), name)
    end
    assert.is_nil(core.chunk("campaign.human", "no/such/file.lua"))
    assert.is_nil(core.chunk("campaign.human", "lua/campaign"))
    assert.is_nil(core.chunk("campaign.human", "/dev/zero"))
    assert.has_error(function() core.chunk("campaign.human", "a\0b") end)
  end)

  it("run with an empty environment where one is asked for", function()
    local path = assert(searchpath("campaign.human", package.path))
    local ok, problem = pcall(assert(core.chunk("campaign.human", path)))
    local expected = jit and "global 'require'" or "global '"
    -- human.lua asks for something global, or is pure: both are fine, but nothing of ours may be found
    assert.is_true(ok or problem:find("nil value", 1, true) ~= nil, expected .. tostring(problem))
    local data = assert(core.chunk("campaign.platform.outbound", assert(searchpath("campaign.platform.outbound", package.path))))()
    assert.equal("outbound", data.name)
  end)

  it("are looked for once, however often the core is opened", function()
    local count = #searchers
    local opened = package.loaded["campaign.core"]
    package.loaded["campaign.core"] = nil
    local again = require "campaign.core"
    package.loaded["campaign.core"] = opened
    assert.equal("function", type(again.chunk))
    assert.equal(count, #searchers)
  end)

  it("stand behind package.preload and what a host looks into first", function()
    local host = os.tmpname()
    write(host, [[
      local searchers = package.searchers or package.loaders
      table.insert(searchers, 1, function() end) -- as luarocks.loader does
      table.insert(searchers, 3, function(name) return name == "campaign.env" and function() return "the host's" end or nil end)
      package.preload["campaign.json"] = function() return "preloaded" end
      require "campaign.core"
      local chunk = searchers[4]("campaign.error")
      print(require "campaign.json", require "campaign.env", type(chunk), #searchers)
    ]])
    local result = command.run({ os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", host },
      { env = { LUA_PATH = package.path, LUA_CPATH = package.cpath, LD_PRELOAD = os.getenv("LD_PRELOAD"),
        ASAN_OPTIONS = os.getenv("ASAN_OPTIONS") } })
    os.remove(host)
    assert.equal("preloaded\tthe host's\tfunction\t7\n", result.out, result.err)
  end)
end)
