-- SPDX-License-Identifier: MIT
-- The cell that processes share: every replacement counts once however many compete, nobody waits for a process that was stopped or killed in
-- the middle, and files that are something else are made anew or refused.

local command = require "support.command"
local core = require "campaign.core"

local STAMP = "0a1b"
local LUA = os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4"

describe("core.system.cell", function()
  local folder, path
  before_each(function()
    folder = command.folder()
    path = folder .. "/one.cell"
  end)
  after_each(function()
    command.remove(folder)
  end)

  local function open()
    return assert(core.system.cell(path, STAMP, true))
  end

  -- Little-endian, as the machines are that this runs on; only to play a process that died in the middle.
  local function poke(offset, value)
    local bytes = {}
    for i = 1, 8 do
      bytes[i] = string.char(value % 256)
      value = math.floor(value / 256)
    end
    local file = assert(io.open(path, "r+b"))
    file:seek("set", offset)
    file:write(table.concat(bytes))
    file:close()
  end

  -- The state of slot `number` (from 0) says that a process has claimed it.
  local function claim(number, pid)
    poke(1024 * (number + 1), 1000 * 2 ^ 24 + pid)
  end

  local function dead_pid()
    local process = assert(core.system.spawn{ "/bin/true", stdout = "/dev/null" })
    local pid = process:pid()
    assert.same({ exit = 0 }, process:wait(60))
    process:close()
    return pid
  end

  it("holds nothing at first, then what was put last, for all who have it open", function()
    local one, two = open(), open()
    assert.same({ 0, "" }, { one:get() })
    assert.is_true(one:put(0, "first"))
    local version, text = two:get()
    assert.equal("first", text)
    assert.is_true(two:put(version, ("x"):rep(960)))
    assert.equal(("x"):rep(960), (select(2, one:get())))
    assert.is_true(one:put((one:get()), ""))
    assert.is_true((two:get()) > version)
    assert.equal("", (select(2, two:get())))
    one:close()
    one:close()
    assert.has_error(function() one:get() end)
    assert.equal("", (select(2, two:get())))
  end)

  it("replaces only the version that it is told", function()
    local one = open()
    assert.is_false(one:put(7, "a"))
    assert.is_true(one:put(0, "a"))
    assert.is_false(one:put(0, "b"))
    local version = one:get()
    assert.is_true(one:put(version, "b"))
    assert.is_true(one:put((one:get()), "a"))
    assert.is_false(one:put(version, "c"), "the same text again is another version")
    local done, err = one:put((one:get()), ("x"):rep(961))
    assert.is_nil(done)
    assert.equal("the text is too long", err.message)
  end)

  it("is private, and made only when that is asked for", function()
    local none, err = core.system.cell(path, STAMP)
    assert.is_nil(none)
    assert.equal("missing", err.reason)
    open()
    assert.equal(384, core.system.stat(path).mode)
    assert.same({ "one.cell" }, core.system.list_dir(folder))
    assert(core.system.cell(path, STAMP))
    os.execute("chmod 644 '" .. path .. "'")
    none, err = core.system.cell(path, STAMP, true)
    assert.is_nil(none)
    assert.truthy(err.message:find("closed to others", 1, true))
    os.execute("rm '" .. path .. "' && ln -s /dev/null '" .. path .. "'")
    assert.is_nil((core.system.cell(path, STAMP, true)))
    assert.is_nil((core.system.cell(folder .. "/none/x", STAMP, true)))
    assert.is_nil((core.system.cell(folder, STAMP, true)))
    assert.is_nil((core.system.cell(path, ("s"):rep(41), true)))
  end)

  it("makes a file anew that holds something else, or is of another start of the machine", function()
    for _, content in ipairs({ "", "junk", ("\255"):rep(32768), ("\0"):rep(32768), ("x"):rep(100000) }) do
      assert(core.system.write_atomic(path, content))
      local none, err = core.system.cell(path, STAMP)
      assert.is_nil(none)
      assert.equal("missing", err.reason)
      local one = open()
      assert.same({ 0, "" }, { one:get() })
      assert.is_true(one:put(0, "well"))
    end
    local later = assert(core.system.cell(path, "ffff", true))
    assert.same({ 0, "" }, { later:get() })
  end)

  it("notices when its file is gone or another one", function()
    local one = open()
    assert.is_true(one:is_current())
    assert(core.system.remove(path))
    assert.is_false(one:is_current())
    assert.is_true(one:put((one:get()), "into the void, and no crash"))
    open()
    assert.is_false(one:is_current())
  end)

  it("goes on beside processes that died while they put, and around those that were stopped", function()
    local one = open()
    assert.is_true(one:put(0, "begin"))
    local dead, alive = dead_pid(), core.system.pid()
    for number = 0, 62 do
      claim(number, dead)
    end
    for i = 1, 200 do
      assert.is_true(one:put((one:get()), tostring(i)))
    end
    for number = 0, 62 do
      claim(number, number < 60 and alive or 0)
    end
    for i = 1, 200 do
      assert.is_true(one:put((one:get()), tostring(i)))
    end
    for number = 0, 62 do
      claim(number, alive)
    end
    assert.is_false(one:put((one:get()), "no room")) -- and no endless loop
    assert.equal("200", (select(2, one:get())))
  end)

  it("reads damage as nothing, and is mended by what is put next", function()
    local one = open()
    assert.is_true(one:put(0, "well"))
    poke(48, 5 * 256 + 200) -- no such slot
    assert.same({ 5, "" }, { one:get() })
    assert.is_true(one:put(5, "mended"))
    assert.equal("mended", (select(2, one:get())))
    for number = 0, 62 do
      poke(1024 * (number + 1) + 8, 2 ^ 40) -- a length that cannot be
    end
    assert.equal("", (select(2, one:get())))
  end)

  -- Adds 1 to a number `count` times (0: for ever), and fills the text up so that a torn one shows.
  local ADDER = [[
    local core = require "campaign.core"
    local cell = assert(core.system.cell(arg[1], arg[2], true))
    local left, lost = tonumber(arg[3]), 0
    if left == 0 then left = math.huge end
    while left > 0 do
      local version, text = cell:get()
      local number = tonumber(text:match("^%d+")) or 0
      assert(version == 0 or text == (number .. " "):rep(40), "torn: " .. text)
      number = number + 1
      if cell:put(version, (number .. " "):rep(40)) then left = left - 1 else lost = lost + 1 end
    end
  ]]

  local function adder(count)
    if not core.system.stat(folder .. "/add.lua") then -- written again, it would be empty for one that begins to read it
      command.write(folder .. "/add.lua", ADDER)
    end
    return assert(core.system.spawn{ LUA, folder .. "/add.lua", path, STAMP, tostring(count), stdout = "/dev/null" })
  end

  it("counts every replacement of several processes once", function()
    local processes = {}
    for i = 1, 3 do
      processes[i] = adder(4000)
    end
    for i = 1, 3 do
      assert.same({ exit = 0 }, processes[i]:wait(120))
      processes[i]:close()
    end
    assert.equal(("12000 "):rep(40), (select(2, open():get())))
  end)

  local function state_of(pid)
    local file = assert(io.open("/proc/" .. pid .. "/stat"))
    local text = file:read("*a")
    file:close()
    return text:match("^%d+ %(.-%) (%a)")
  end

  it("is never held up by a process that was stopped or killed at any moment", function()
    local one = open()
    for round = 1, 20 do
      local process = adder(0)
      local begun = (one:get())
      while (one:get()) < begun + 20 + round do core.system.sleep(0.001) end -- it is at work
      assert(process:signal(round % 2 == 0 and "KILL" or "STOP"))
      if round % 2 == 0 then
        process:wait(60)
      else
        while state_of(process:pid()) ~= "T" do core.system.sleep(0.001) end
      end
      for _ = 1, 100 do -- nobody else is there: each one is to succeed at once
        local version, text = one:get()
        local number = tonumber(text:match("^%d+"))
        assert.equal((number .. " "):rep(40), text)
        assert.is_true(one:put(version, (number + 1 .. " "):rep(40)))
      end
      process:close()
    end
  end)
end)
