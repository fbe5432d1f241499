-- SPDX-License-Identifier: MIT
-- The runs of tools/pace: one import for each way of counting and for Retry-After given or not, judged by what the sandbox counted.

local campaign = require "campaign"
local core = require "campaign.core"
local env_module = require "campaign.env"
local sandbox = require "campaign.sandbox"

local SECONDS, CAP, KINDS, WAITS = tonumber(arg[1]), tonumber(arg[2]), arg[3], arg[4]

-- Seconds until a cap must be known, and the shares to keep.
local LEARNING = math.floor(math.min(20, SECONDS / 3))
local HELD, REFUSED = 0.95, 0.01

local folder = (os.getenv("TMPDIR") or "/tmp") .. "/campaign-pace-" .. core.system.pid()
assert(core.system.make_dirs(folder))

local function write_list(path, rows)
  local file = assert(io.open(path, "w"))
  file:write("phone\n")
  for row = 1, rows do
    file:write(("138%08d\n"):format(row))
  end
  file:close()
end

-- The world, with a place of its own for what imports keep.
local function world(name)
  local env = env_module.default()
  env.getenv = function(key)
    return key == "CAMPAIGN_STATE_DIR" and folder .. "/state-" .. name or nil
  end
  return env
end

local function run(kind, wait)
  local name = kind .. "-" .. wait
  local handle = assert(sandbox.start{ settings = { ["limit.calls_per_second"] = CAP, ["limit.kind"] = kind, ["limit.retry_after"] = wait } })
  local list = folder .. "/list.csv"
  write_list(list, SECONDS * CAP)
  local function counts()
    return assert(handle:control("limit")).longlong or { taken = 0, refused = 0 }
  end
  local began, learned, before = core.system.monotonic(), nil, nil
  local result = assert(campaign.import{
    source = list, to = "longlong.import_customers_async", account = handle.accounts.longlong, rows_per_call = 1,
    job = folder .. "/job-" .. name, env = world(name),
    on_progress = function(event)
      if not learned and event.phase == "sending" and core.system.monotonic() - began >= LEARNING then
        learned, before = core.system.monotonic(), counts().taken
      end
    end,
  })
  local ended, all = core.system.monotonic(), counts()
  handle:stop()
  assert(result.state == "finished" and result.taken_over == SECONDS * CAP and all.taken == SECONDS * CAP, "rows were lost or sent twice")
  local held = (all.taken - before) / (ended - learned) / CAP
  local refused = all.refused / (all.taken + all.refused)
  local is_well = held >= HELD and refused < REFUSED
  print(("%-10s  Retry-After %d: %.1f %% of %d calls/s held after %d s (%.1f %% of the whole %.0f s), %d of %d calls refused (%.2f %%)%s"):format(
    kind, wait, 100 * held, CAP, LEARNING, 100 * all.taken / (ended - began) / CAP, ended - began, all.refused, all.taken + all.refused,
    100 * refused, is_well and "" or "  FAILED"))
  return is_well
end

local is_well = true
for kind in KINDS:gmatch("%S+") do
  for wait in WAITS:gmatch("%S+") do
    is_well = run(kind, tonumber(wait)) and is_well
  end
end
os.execute("rm -rf '" .. folder .. "'")
os.exit(is_well and 0 or 1)
