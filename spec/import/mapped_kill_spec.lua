-- SPDX-License-Identifier: MIT
-- An import with a function for each row that is killed: while the function looks at rows, while they are checked, while they are sent. The function
-- answers otherwise each time it is asked, so that a row of which two answers were ever sent would show. The sandbox's log is the oracle.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local lists = require "support.lists"

local ROWS, PER_CALL, IN_FLIGHT = 300, 10, 2

-- arg: run | resume, folder, base_url, token, user, list, where to die ("map:17", "preflight:1", "sending:3"; "never").
local SCRIPT = [[
  local campaign = require "campaign"
  local core = require "campaign.core"
  local account = { base_url = arg[3], token = arg[4], user_id = arg[5] }
  local place, left = arg[7]:match("^(%a+):?(%d*)$")
  left = tonumber(left)
  local function die_at(here)
    if here == place then
      left = left - 1
      if left == 0 then
        os.execute("kill -9 " .. core.system.pid())
      end
    end
  end
  local env = require("campaign.env").default()
  local own = core.digest.hex(core.system.random(4))
  local result, err
  if arg[1] == "run" then
    result, err = campaign.import{ source = arg[6], to = "longlong.import_customers_async", job = arg[2], account = account, rows_per_call = 10,
      concurrency = 2, env = env, mark = false, window = "ignore",
      map = function(row, number)
        die_at("map")
        row.extra = number .. "-" .. own .. "-" .. core.digest.hex(core.system.random(4))
        if number % 50 == 0 then
          return nil, "every fiftieth"
        end
      end,
      on_progress = function(event) die_at(event.phase) end }
  else
    local job
    job, err = campaign.open_job(arg[2], { account = account, env = env, on_progress = function(event) die_at(event.phase) end })
    if job then
      result, err = job:resume()
    end
  end
  print(result and result.exit_code or tostring(err))
]]

describe("an import with a function that is killed", function()
  local script, source

  setup(function()
    imports.start()
    script = imports.folder() .. "/run.lua"
    lists.write(script, SCRIPT)
    source = lists.file(imports.people(ROWS))
  end)
  teardown(imports.stop)
  before_each(function()
    imports.reset()
  end)

  -- Runs it to its end, or to where it dies, or so many seconds.
  local function run(what, folder, place, seconds)
    local account = imports.accounts.longlong
    local process = assert(core.system.spawn{ os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", script, what, folder, account.base_url, account.token,
      account.user_id, source, place or "never", stderr = "/dev/null", stdout = "/dev/null" })
    local ended = process:wait(seconds or 60)
    if not ended then
      process:signal("KILL")
      process:wait(10)
    end
    process:close()
  end

  -- What was sent of each row, by the number that the function wrote.
  local function sent(label)
    local by_row, count = {}, 0
    for _, entry in ipairs(imports.commits()) do
      local row = entry.row.extra:match("^(%d+)%-")
      assert.is_nil(by_row[row], label .. ": row " .. row .. " twice")
      by_row[row], count = entry.row.extra, count + 1
    end
    return by_row, count
  end

  local function finish(folder, label, kills)
    local job = assert(campaign.open_job(folder, { account = imports.accounts.longlong }))
    local result = assert(job:resume())
    imports.assert_balanced(result)
    assert.same({ ROWS, 6, 0 }, { result.rows, result.rejected, result.pending }, label)
    assert.is_true(result.ambiguous <= kills * IN_FLIGHT * PER_CALL, label)
    local by_row = sent(label)
    local mapped = imports.read(folder .. "/mapped.csv")
    for number, row in ipairs(mapped) do
      assert(by_row[tostring(number)] == nil or by_row[tostring(number)] == row.extra, label .. ": row " .. number .. " is not what was written down")
    end
    assert.same({}, assert(campaign.verify(folder, { server_log = nil })).faults, label)
  end

  it("leaves nothing behind while the function looks at rows, and begins anew in the same folder", function()
    for _, place in ipairs({ "map:1", "map:17", "map:300" }) do
      imports.reset()
      local folder = imports.job()
      run("run", folder, place)
      assert.equal(0, #imports.commits())
      for name in require("lfs").dir(folder) do
        assert(name == "." or name == "..", place .. ": " .. name .. " stayed")
      end
      run("resume", folder)
      assert.equal(0, #imports.commits())
      run("run", folder)
      local _, count = sent(place)
      assert.equal(ROWS - 6, count)
      finish(folder, place, 0)
    end
  end)

  it("sends what the function said the first time, wherever it died later", function()
    for _, place in ipairs({ "mapping:1", "preflight:1", "sending:1", "finished:1" }) do
      imports.reset()
      local folder = imports.job()
      run("run", folder, place)
      if place == "mapping:1" then
        assert.is_nil(core.system.stat(folder .. "/mapped.csv"))
      else
        finish(folder, place, 1)
      end
    end
  end)

  it("says so when the disk of the job takes no more, sends nothing, and leaves nothing behind", function()
    local account, folder = imports.accounts.longlong, imports.job()
    -- Files may have 8 KiB, as a full disk would have it; the signal that comes with that is ignored.
    local line = ("trap '' XFSZ; ulimit -f 16; %s %s run %s %s %s %s %s never"):format(os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", script, folder,
      account.base_url, account.token, account.user_id, source)
    local result = command.run({ "sh", "-c", line }, { env = { LUA_PATH = os.getenv("LUA_PATH") or package.path,
      LUA_CPATH = os.getenv("LUA_CPATH") or package.cpath } })
    assert(result.out:find("the mapped list: File too large", 1, true), result.out .. result.err)
    assert.equal(0, #imports.commits())
    assert.is_nil(core.system.stat(folder))
  end)

  it("does so at any moment #heavy", function()
    local random = lists.random(lists.seed())
    for i = 1, tonumber(os.getenv("CAMPAIGN_KILLS")) or 12 do
      imports.reset()
      local folder, label = imports.job(), "seed " .. lists.seed() .. ", job " .. i
      run("run", folder, "never", random(120) / 1000)
      run("resume", folder, "never", random(100) / 1000)
      local job, err = campaign.open_job(folder, { account = imports.accounts.longlong })
      local result
      if job then
        result, err = job:resume()
      end
      if not result then -- died before its plan was recorded: the list is imported again
        assert.equal(0, #imports.commits(), label .. ": " .. tostring(err))
        run("run", folder)
      end
      finish(folder, label, 2)
    end
  end)
end)
