-- SPDX-License-Identifier: MIT
-- What the ledger costs a batch, by itself: intents and outcomes as an import writes them, on the disk that holds FOLDER. Prints microseconds
-- of wall time and of processor time for each batch, by how many batches share a commit.
--
--   lua5.4 bench/ledger.lua FOLDER [BATCHES] [BATCHES_A_COMMIT...]

local core = require "campaign.core"
local ledger_module = require "campaign.ledger"

local folder, count = arg[1], tonumber(arg[2]) or 5000

local function timed(work)
  local wall, cpu = core.system.monotonic(), os.clock()
  work()
  local a_batch = 1e6 / count
  return (core.system.monotonic() - wall) * a_batch, (os.clock() - cpu) * a_batch
end

-- Plan, claim, then send all with so many in flight: each group begins batches and finishes those of the group before.
local function run(in_flight)
  local path = ("%s/ledger-%d.db"):format(folder, in_flight)
  os.remove(path)
  local ledger = assert(ledger_module.open(path, { create = true }))
  assert(ledger:job_put{ id = "bench", state = "running", record = "{}" })
  for i = 1, count do
    assert(ledger:enqueue{ { index = i, offset = i * 25000, bytes = 25000, first_row = i * 200 - 199, first_line = i * 200 - 198, rows = 200,
      accepted = 200, body_bytes = 38000, hash = "00c0ffee" } })
  end
  assert(ledger:commit())
  local leases, at, flying = {}, 0, {}
  local function next_lease() -- 256 at a time, as an import does
    if at == #leases then
      leases, at = assert(ledger:claim(256)), 0
    end
    at = at + 1
    return leases[at]
  end
  local function finish(lease)
    assert(ledger:finish(lease, { verdict = "accepted", cause = "success", receipt = "afba23d9-4fd8-4dd9-a6b8-7b2e13ba3fdd",
      status = 200, sent = "yes", bytes_sent = 38000, body_bytes = 38000, seconds = 0.00123, awaits = true }))
  end
  local wall, cpu = timed(function()
    for i = 1, count do
      local slot = i % in_flight
      if flying[slot] then
        finish(flying[slot])
      end
      flying[slot] = next_lease()
      assert(ledger:begin(flying[slot]))
      if slot == 0 then
        assert(ledger:commit())
      end
    end
    assert(ledger:commit())
    for _, lease in pairs(flying) do
      finish(lease)
    end
    assert(ledger:commit())
  end)
  local lines_wall, lines_cpu = timed(function()
    local bytes = 0
    for text in ledger:lines() do
      bytes = bytes + #text
    end
    assert(bytes > count * 100)
  end)
  assert(assert(ledger:progress()).batches.A == count)
  ledger:close()
  os.remove(path)
  os.remove(path .. ".lock")
  return wall, cpu, lines_wall, lines_cpu
end

local groups = #arg > 2 and { (unpack or table.unpack)(arg, 3) } or { 1, 8, 16 }
for _, in_flight in ipairs(groups) do
  in_flight = math.floor(tonumber(in_flight))
  local wall, cpu, lines_wall, lines_cpu = run(in_flight)
  print(("%d %.1f %.1f %.1f %.1f"):format(in_flight, wall, cpu, lines_wall, lines_cpu))
end
