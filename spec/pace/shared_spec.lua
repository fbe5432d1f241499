-- SPDX-License-Identifier: MIT
-- One rate for several processes: by a file that they share, by any place that can compare and set, and what happens when that place fails.

local command = require "support.command"
local core = require "campaign.core"
local homes = require "campaign.pace.home"
local quota = require "campaign.pace.quota"
local rate = require "campaign.pace.rate"
local shared = require "campaign.pace.shared"

local function half()
  return 0.5
end

local clock, opened

-- A home in a file, let go of at the end.
local function file_home(...)
  opened[#opened + 1] = homes.file(...)
  return opened[#opened]
end

local function member(home, given)
  return shared.new{ home = home, monotonic = function() return clock.now end, random = half, given = given }
end

-- Calls that each of the members may make within some seconds when all want to.
local function race(members, seconds)
  local counts, ends, first_of = {}, clock.now + seconds, nil
  while clock.now < ends do
    local nearest = math.huge
    local first = next(members, first_of) or 1
    first_of = first -- nobody is always the first to ask
    for k = 1, #members do
      local i = (first + k - 2) % #members + 1
      local wait = members[i]:take()
      if wait == 0 then
        counts[i] = (counts[i] or 0) + 1
      end
      nearest = math.min(nearest, wait)
    end
    clock.now = clock.now + math.max(nearest, 0.001)
  end
  return counts
end

describe("pace.shared", function()
  local folder
  before_each(function()
    folder = command.folder()
    clock, opened = { now = 5000 }, {}
  end)
  after_each(function()
    for _, home in ipairs(opened) do
      home:close()
    end
    command.remove(folder)
  end)

  for name, home_of in pairs{
    ["a file"] = function() return function() return file_home(folder .. "/state/pace", "longlong/main#1") end end,
    ["one table"] = function()
      local home = homes.memory()
      return function() return home end
    end,
  } do
    it("lets all that share " .. name .. " make as many calls as were set, not each of them", function()
      local make = home_of()
      local counts = race({ member(make(), 50), member(make(), 50), member(make(), 50) }, 10)
      local sum = 0
      for i = 1, 3 do
        assert.is_true((counts[i] or 0) > 20, "member " .. i .. " starves")
        sum = sum + counts[i]
      end
      assert.is_true(sum >= 488 and sum <= 505, "calls: " .. sum)
    end)

    it("tells all that share " .. name .. " when the platform wants peace", function()
      local make = home_of()
      local first, second = member(make()), member(make())
      assert.equal(0, (first:take()))
      assert.equal(0, (second:take()))
      first:succeeded(clock.now)
      first:throttled(clock.now, 30)
      clock.now = clock.now + 0.3
      local wait, reason = second:take()
      assert.is_near(29.7, wait, 0.01)
      assert.equal("throttle", reason)
      clock.now = clock.now + 60
      local counts = race({ first, second }, 2)
      assert.is_true((counts[1] or 0) + (counts[2] or 0) >= 2)
      assert.is_true(first:rate() ~= nil and second:rate() ~= nil)
    end)
  end

  it("knows when others called, also after a rest", function()
    for _, given in ipairs({ 0.1, 0.2, 0.5, 1, 3 }) do
      for rest = 4, 11, 0.5 do
        local home = homes.memory()
        local one = member(home, given)
        for _ = 1, 3 do
          one:take(30)
        end
        clock.now = clock.now + 2 / given + math.max(rest, 1 / given) + 0.1
        assert.equal(0, (member(home, given):take()), ("%g/s, %g s later"):format(given, rest))
      end
    end
  end)

  it("lets one whose rate is lower than what others send have its turn now and then", function()
    local home = homes.memory()
    local counts = race({ member(home, 50), member(home, 10) }, 60)
    assert.is_true(counts[2] >= 15 and counts[2] <= 600, "low: " .. counts[2])
    assert.is_true(counts[1] >= 2400, "high: " .. counts[1])
  end)

  it("begins at once whatever the rate, also where nothing was kept before", function()
    for _, given in ipairs({ 0.1, 1, 50, 256, 257, 500, 100000 }) do
      for _, at in ipairs({ 0.3, 5000, 1234567.89, 2e7 / 3 }) do
        clock.now = at
        local one = member(homes.memory(), given)
        assert.equal(0, (one:take()), given .. "/s at " .. at)
        clock.now = clock.now + 100
        assert.equal(0, (one:take()), given .. "/s after a rest at " .. at)
      end
    end
    clock.now = 5000
    local counts = race({ member(homes.memory(), 500) }, 4)
    assert.is_true(counts[1] >= 1900 and counts[1] <= 2020, "calls: " .. counts[1])
  end)

  it("collects nothing for a place that fails", function()
    local one = member({ get = function() return nil, "gone" end }, 50)
    for call = 1, 500 do
      one:take()
      one:succeeded(clock.now - (call % 2 == 0 and 0.1 or 0.01))
      clock.now = clock.now + 0.02
    end
    assert.is_true(#one._late <= 4, #one._late .. " late ones")
  end)

  it("learns the rate from what all of them sent", function()
    local make = homes.memory()
    local members = { member(make), member(make) }
    members[1]:throttled(clock.now, 0)
    for second = 1, 40 do
      for i = 1, 2 do
        for call = 1, 20 do
          clock.now = 5000 + second + call / 20 - 0.01
          if members[i]:take() == 0 then
            members[i]:succeeded(clock.now)
          end
        end
      end
    end
    local state = rate.decode(make:get(), clock.now)
    assert.is_true(rate.measured(state, clock.now) > 20, "measured " .. rate.measured(state, clock.now))
  end)

  it("says whether the platform or the user set the rate", function()
    local one = member(nil, 50)
    assert.same({ 50, false }, { one:rate() })
    one:take()
    for _ = 1, 10 do
      one:succeeded(clock.now)
    end
    one:throttled(clock.now, 1)
    local now, is_learned = one:rate()
    assert.is_true(now < 50 and is_learned)
    assert.is_near(1, one:pause(), 1e-6)
    assert.is_nil((member():rate()))
  end)

  it("writes nothing as long as nobody asked for a pace", function()
    local one = member(file_home(folder .. "/state", "a/b#c"))
    for _ = 1, 100 do
      clock.now = clock.now + 1
      assert.equal(0, (one:take()))
      one:succeeded(clock.now)
    end
    assert.is_nil((core.system.stat(folder .. "/state")))
  end)

  it("goes on alone when the place for the state cannot be used", function()
    assert(core.system.write_atomic(folder .. "/blocked", "a file, no folder"))
    local broken = { get = function() return nil, "gone" end, put = function() return nil, "gone" end }
    local half_broken = { get = function() return nil end, put = function() return nil, "gone" end }
    local stubborn = { get = function() return nil end, put = function() return false end }
    for _, home in ipairs({ file_home(folder .. "/blocked/pace", "x"), broken, half_broken, stubborn }) do
      local counts = race({ member(home, 20) }, 10)
      assert.is_true(counts[1] >= 190 and counts[1] <= 210, "calls: " .. tostring(counts[1]))
    end
  end)

  it("says once that it goes on alone, with the reason, and nothing as long as all is well", function()
    local said = {}
    local function tell(text) said[#said + 1] = text end
    assert(core.system.make_dirs(folder .. "/pace"))
    assert(core.system.write_atomic(folder .. "/pace/x.pace", "open to others", 420))
    local one, well = member(file_home(folder .. "/pace", "x"), 20), member(file_home(folder .. "/pace", "y"), 20)
    for _ = 1, 5 do
      clock.now = clock.now + 10
      one:take()
      one:warn(tell)
      well:take()
      well:warn(tell)
    end
    assert.equal(1, #said)
    assert.truthy(said[1]:find("the account's rate is not shared with other processes: ", 1, true))
    assert.truthy(said[1]:find("x.pace: must belong to this user and be closed to others", 1, true), said[1])
  end)

  -- A home that can be made to fail, and counts how often it is asked.
  local function failing_home()
    local inside = homes.memory()
    local home = { asked = 0 }
    function home.get()
      home.asked = home.asked + 1
      if home.fails == "get" then return nil, "gone" end
      return inside:get()
    end
    function home.put(_, text, old)
      if home.fails == "put" then return nil, "gone" end
      return home.fails ~= "race" and inside:put(text, old)
    end
    return home
  end

  it("asks a place that fails ever more rarely, and comes back to it", function()
    local home = failing_home()
    local one = member(home, 20)
    home.fails = "get"
    race({ one }, 100)
    assert.is_true(home.asked <= 8, "asked " .. home.asked .. " times")
    home.fails = nil
    clock.now = clock.now + 60
    race({ one }, 10)
    assert.is_true(home.asked >= 200)
    assert.is_true(rate.decode(home:get(), clock.now).due > clock.now - 1)
  end)

  it("tells the others of a 429 as soon as the place takes it, whatever was put there meanwhile", function()
    for _, fault in ipairs({ "get", "put", "race" }) do
      local home = failing_home()
      local one, other = member(home), member(home)
      home.fails = fault
      one:throttled(clock.now, 30)
      local wait, reason = one:take()
      assert.same({ 30, "throttle" }, { wait, reason }, fault .. ": nobody in this process sends meanwhile")
      home.fails = nil
      assert.equal(0, (other:take()), "the others do not know it yet")
      other:throttled(clock.now, 5) -- and they have news of their own
      clock.now = clock.now + 2
      wait, reason = one:take() -- brings it
      assert.is_near(28, wait, 1e-6)
      assert.equal("throttle", reason)
      clock.now = clock.now + 1
      wait, reason = other:take()
      assert.is_near(27, wait, 1e-6, fault)
      assert.equal("throttle", reason)
      clock.now = clock.now + 60
      assert.is_true(other:rate() ~= nil and one:take() == 0)
    end
  end)

  it("forgets none of many pauses that it could not tell", function()
    local home = failing_home()
    local one, other = member(home), member(home)
    home.fails = "put"
    one:throttled(clock.now, 100)
    for _ = 1, 30 do
      clock.now = clock.now + 0.01
      one:throttled(clock.now, 1)
    end
    home.fails = nil
    clock.now = clock.now + 70
    one:take()
    assert.is_near(5100 - clock.now, (other:take()), 1e-6)
  end)

  it("takes no more than the rate from the place after a time alone", function()
    local home = failing_home()
    local one, other = member(home, 10), member(home, 10)
    home.fails = "get"
    one:take()
    assert.is_near(0.1, (one:take()), 0.002)
    home.fails = nil
    clock.now = clock.now + 0.02
    assert.equal(0, (other:take()))
    clock.now = clock.now + 3
    local counts = race({ one, other }, 20)
    assert.is_true(math.abs(counts[1] + counts[2] - 200) <= 3, "calls: " .. counts[1] + counts[2])
  end)

  it("keeps two processes together below the rate", function()
    local script = folder .. "/take.lua"
    command.write(script, [[
      local core = require "campaign.core"
      local one = require("campaign.pace.shared").new{ home = require("campaign.pace.home").file(arg[1], "a"), given = 200,
        monotonic = core.system.monotonic, random = function() return 0 end }
      local ends, first, last, count = core.system.monotonic() + 0.5, nil, nil, 0
      repeat
        local wait = one:take()
        if wait == 0 then
          last = core.system.monotonic()
          first, count = first or last, count + 1
        else
          core.system.sleep(wait)
        end
      until core.system.monotonic() > ends
      local file = assert(io.open(arg[2], "w"))
      file:write(("%d %.6f %.6f"):format(count, first, last))
      file:close()
    ]])
    local processes, sum, first, last = {}, 0, math.huge, 0
    for i = 1, 2 do
      processes[i] = assert(core.system.spawn{ os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", script, folder .. "/shared", folder .. "/" .. i,
        stdout = "/dev/null" })
    end
    for i = 1, 2 do
      assert.same({ exit = 0 }, processes[i]:wait(60))
      processes[i]:close()
      local count, from, to = command.read(folder .. "/" .. i):match("^(%d+) ([%d.]+) ([%d.]+)$")
      sum, first, last = sum + tonumber(count), math.min(first, tonumber(from)), math.max(last, tonumber(to))
      assert.is_true(tonumber(count) >= 1)
    end
    -- Each take is written down before the next one is decided, so this holds however slow the machine is.
    assert.is_true(sum <= 200 * (last - first + 0.06) + 2, ("%d calls in %.3f s"):format(sum, last - first))
  end)

  it("starts anew from a file that holds something else, and from one of an earlier start of the machine", function()
    local path = folder .. "/a.pace"
    for _, content in ipairs({ "", "junk", ("x"):rep(1000), "\0\0\0", "00000000-0000-0000-0000-000000000000\n1 2 3\n" }) do
      assert(core.system.write_atomic(path, content))
      local counts = race({ member(file_home(folder, "a"), 20) }, 5)
      assert.is_true(counts[1] >= 90 and counts[1] <= 105, "calls: " .. tostring(counts[1]))
    end
  end)

  it("keeps its file closed to others, and clears away those of accounts that nobody uses any more", function()
    local old = folder .. "/old.pace"
    assert(core.system.write_atomic(old, "x"))
    assert(core.system.write_atomic(folder .. "/kept.json", "{}"))
    os.execute("touch -d '3 days ago' '" .. old .. "'")
    member(file_home(folder, "long/lo ng#1"), 5):take()
    assert.is_nil((core.system.stat(old)))
    assert.truthy(core.system.stat(folder .. "/kept.json"))
    assert.equal(384, core.system.stat(folder .. "/long-lo-ng#1.pace").mode)
  end)

  it("replaces only what it has read", function()
    for _, home in ipairs({ homes.memory(), file_home(folder, "b") }) do
      assert.is_nil((home:get()))
      assert.is_false((home:put("two", "one")))
      assert.is_true(home:put("one", nil))
      assert.is_false((home:put("two", nil)))
      assert.is_true(home:put("two", "one"))
      assert.equal("two", (home:get()))
    end
  end)

  it("finds its way back when its file was removed or replaced while it was in use", function()
    local home, other = file_home(folder, "c"), file_home(folder, "c")
    assert.is_true(home:put("one", nil))
    assert.equal("one", (other:get()))
    assert(core.system.remove(folder .. "/c.pace"))
    assert.is_nil((home:get()))
    assert.is_true(home:put("two", nil))
    assert.equal("two", (other:get()))
    assert.is_true(other:put("three", "two"))
    assert.equal("three", (home:get()))
    io.open(folder .. "/c.pace", "w"):close() -- cut short while it is mapped: reading it would be a bus error
    assert.is_nil((home:get()))
    assert.is_true(home:put("four", nil))
    assert.equal("four", (other:get()))
  end)
end)

describe("pace.quota", function()
  it("pays for a hundred repeats, half as many after timeouts, and is filled by calls that succeed", function()
    local one = quota.new(500)
    for _ = 1, 100 do
      assert.is_true(one:pay())
    end
    assert.is_false(one:pay())
    for _ = 1, 5 do
      one:refund(false)
    end
    assert.is_true(one:pay())
    assert.is_false(one:pay(true))
    one:refund(true)
    assert.is_false(one:pay(true))
    one:refund(true)
    assert.is_true(one:pay(true))
    for _ = 1, 1000 do
      one:refund(true)
    end
    for _ = 1, 50 do
      assert.is_true(one:pay(true))
    end
    assert.is_false(one:pay())
  end)
end)
