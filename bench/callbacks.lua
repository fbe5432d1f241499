-- SPDX-License-Identifier: MIT
-- Proofs about the receiver of callbacks: forged posts change nothing, comparing the secret tells nothing by its time, and genuine posts are
-- answered while forged ones pour in. Prints what it measured; ends with 1 when something that must hold does not.
--   make build && eval "$(bin/campaign env)" && lua5.4 bench/callbacks.lua [forged posts, 100000] [timed comparisons, 400000] [seconds, 10]

local callback = require "campaign.callback"
local core = require "campaign.core"

local FORGED = tonumber(arg[1]) or 100000
local TIMED = tonumber(arg[2]) or 400000
local SECONDS = tonumber(arg[3]) or 10
local IN_FLIGHT = 64
local LOG_BYTES = 16384 -- that the command may write meanwhile

local monotonic = core.system.monotonic
local failures = 0

local function must(holds, text)
  if not holds then
    failures = failures + 1
    print("  FAILED: " .. text)
  end
end

local function quantile(list, part)
  table.sort(list)
  return list[math.max(1, math.ceil(#list * part))] or 0
end

-- The command under test ------------------------------------------------------------------------------

local pipe = assert(io.popen("mktemp -d"))
local folder = pipe:read("*l")
pipe:close()
local process = assert(core.system.spawn{
  "bin/campaign", "listen", "--platform", "longlong", "--path-secret-file", folder .. "/secret", "--store", folder .. "/store",
  env = { LUA_PATH = false, LUA_CPATH = false, LD_PRELOAD = false }, pipe = true, hold_stdin = true, group = true, stderr = folder .. "/err",
})
local base = assert(assert(process:read_line(20)):match("^listening on (http://%S-)/ "))
local secret = assert(core.system.read_file(folder .. "/secret", 4096)):gsub("%s", "")
local engine = core.http.engine{ driver = "inline" }

local function bytes_of(name)
  local found = core.system.stat(folder .. "/" .. name)
  return found and found.size or 0
end

local function memory()
  for line in io.lines("/proc/" .. process:pid() .. "/status") do
    local value = line:match("^VmRSS:%s+(%d+)")
    if value then
      return tonumber(value)
    end
  end
end

local function body(id)
  return ('{"unique_id":"%s","total":1,"success":1,"fail":0,"rows":[{"index":0,"extra":"job.1","ok":true,"reason":""}]}'):format(id)
end

-- Sends what `next_request` gives (nil: nothing now) until it says that it is over; `seen` gets each result.
local function pump(next_request, seen)
  local began_at, running, over = {}, 0, false
  repeat
    while running < IN_FLIGHT and not over do
      local request
      request, over = next_request()
      if not request then
        break
      end
      request.account, request.limits = "bench", { total = 60 }
      request.url = base .. request.url
      began_at[assert(engine:submit(request))] = { monotonic(), request }
      running = running + 1
    end
    engine:wait(0.01)
    local id, result = engine:take()
    while id do
      local began = began_at[id]
      began_at[id] = nil
      running = running - 1
      seen(result, monotonic() - began[1], began[2])
      id, result = engine:take()
    end
  until over and running == 0
end

-- 1. Forged posts -------------------------------------------------------------------------------------

local function replaced(text, at, with)
  return text:sub(1, at - 1) .. with .. text:sub(at + 1)
end

-- What someone could try who knows the address and how callbacks look, but not the secret.
local FORGERIES = {
  function() return "/" .. callback.new_secret() end,
  function(n) return "/" .. replaced(secret, n % #secret + 1, secret:byte(n % #secret + 1) == 48 and "1" or "0") end,
  function(n) return "/" .. secret:sub(1, n % #secret) end,
  function(n) return "/" .. secret .. ("0"):rep(n % 7 + 1) end,
  function() return "/" .. secret:upper() .. "A" end,
  function() return "/x/" .. secret end,
  function() return "//" .. secret end,
  function(n) return "/" .. replaced(secret, n % #secret + 1, ("%%%02x"):format(secret:byte(n % #secret + 1))) end,
  function() return "/" .. secret .. "/" end,
  function() return "/?" .. secret end,
  function() return "/" .. secret, "GET" end,
  function() return "/" .. secret, "PUT" end,
  function(n) return "/" .. ("a"):rep(n % 4000) end,
  function() return "/" end,
}

local function forge(number)
  local path, method = FORGERIES[number % #FORGERIES + 1](number)
  return { method = method or "POST", url = path, body = method ~= "GET" and body("forged-" .. number) or nil }
end

local function forged()
  local sent, statuses = 0, {}
  local stored, before, began = bytes_of("store/inbox.log"), memory(), monotonic()
  pump(function()
    sent = sent + 1
    return forge(sent), sent >= FORGED
  end, function(result)
    local status = result.status or 0
    statuses[status] = (statuses[status] or 0) + 1
  end)
  local parts = {}
  for status, count in pairs(statuses) do
    parts[#parts + 1] = (status == 0 and "closed" or tostring(status)) .. ": " .. count
  end
  table.sort(parts)
  print(("forged posts: %d in %.1f s, answers %s; store +%d bytes, log %d bytes, memory %+d kB"):format(sent, monotonic() - began,
    table.concat(parts, ", "), bytes_of("store/inbox.log") - stored, bytes_of("err"), memory() - before))
  must(not statuses[200], "a forged post was answered with 200")
  must(bytes_of("store/inbox.log") == stored, "a forged post is in the store")
  must(bytes_of("err") <= LOG_BYTES, "the log grew to " .. bytes_of("err") .. " bytes")
  must(memory() - before < 65536, "the process grew by more than 64 MiB")
end

-- The same for signatures, without a socket: each is another wrong one.
local function forged_signatures()
  local receiver = assert(callback.new{ store = folder .. "/signed", hmac = { key = callback.new_secret() }, rate = 1e9, burst = 1e9 })
  local accepted, now = 0, math.floor(core.system.now())
  for number = 1, FORGED do
    local text = body("forged-" .. number)
    local answer = receiver:handle{ method = "POST", path = "/", body = text, headers = {
      ["content-length"] = tostring(#text), ["x-campaign-timestamp"] = tostring(now), ["x-campaign-signature"] = callback.new_secret(),
    } }
    accepted = accepted + (answer.status ~= 401 and 1 or 0)
  end
  print(("forged signatures: %d, accepted %d"):format(FORGED, accepted))
  must(accepted == 0 and #receiver.inbox:list() == 0, "a forged signature was accepted")
end

-- 2. Time of the comparison ---------------------------------------------------------------------------

-- Welch's t of two lists, the slowest tenth left out: interruptions are not the comparison.
local function welch(left, right)
  local all = {}
  for _, list in ipairs({ left, right }) do
    for _, value in ipairs(list) do
      all[#all + 1] = value
    end
  end
  local limit = quantile(all, 0.9)
  local function moments(list)
    local count, sum, squares = 0, 0, 0
    for _, value in ipairs(list) do
      if value <= limit then
        count, sum, squares = count + 1, sum + value, squares + value * value
      end
    end
    local mean = sum / count
    return count, mean, squares / count - mean * mean
  end
  local n1, mean1, variance1 = moments(left)
  local n2, mean2, variance2 = moments(right)
  local spread = math.sqrt(variance1 / n1 + variance2 / n2)
  return spread > 0 and (mean1 - mean2) / spread or 0, mean1, mean2
end

-- All secrets that differ at one byte only: several, so that the place of one in the memory does not matter.
local function wrong_at(place)
  local list = {}
  for digit in ("0123456789abcdef"):gmatch(".") do
    if digit:byte() ~= secret:byte(place) then
      list[#list + 1] = replaced(secret, place, digit)
    end
  end
  return list
end

-- Times `compare` on wrong secrets that differ at the first and at the last byte, in turn and in random order.
local function timed(compare)
  local early, late = wrong_at(1), wrong_at(#secret)
  local left, right = {}, {}
  local rounds, repeats = math.floor(TIMED / 40), 20 -- one reading of the clock for so many comparisons
  local coins = {}
  while #coins < rounds do
    for _, coin in ipairs({ core.system.random(250):byte(1, -1) }) do
      coins[#coins + 1] = coin
    end
  end
  for round = 1, rounds do
    local first_is_early = coins[round] < 128
    for turn = 1, 2 do
      local is_early = (turn == 1) == first_is_early
      local path = (is_early and early or late)[round % 15 + 1]
      local began = monotonic()
      for _ = 1, repeats do
        compare(path)
      end
      local list = is_early and left or right
      list[#list + 1] = (monotonic() - began) / repeats * 1e9
    end
  end
  return welch(left, right)
end

-- What the receiver must not do: it stops at the first difference. The measure has to notice it.
local function naive(path)
  for at = 1, #secret do
    if path:byte(at) ~= secret:byte(at) then
      return false
    end
  end
  return true
end

local function timing()
  local receiver = assert(callback.new{ store = folder .. "/timed", secret = secret })
  local digest = core.digest.sha256(secret)
  local compares = {
    { "comparison alone", function(path) return core.digest.equal(path, secret) end },
    { "digest and comparison", function(path) return core.digest.equal(core.digest.sha256(path), digest) end },
    { "whole request", function(path) return receiver:handle{ method = "POST", path = "/" .. path, headers = {}, body = "" } end },
  }
  -- A difference that is beyond chance and larger than what the place of a string in the memory makes.
  local function tells(t, early, late)
    return math.abs(t) >= 10 and math.abs(early - late) > 0.01 * early
  end
  for _, pair in ipairs(compares) do
    local t, early, late
    for _ = 1, 3 do -- a busy machine may disturb one run, a leak shows in each
      t, early, late = timed(pair[2])
      if not tells(t, early, late) then
        break
      end
    end
    print(("time of the %s: %.1f ns differing at the first byte, %.1f ns at the last, t = %.1f"):format(pair[1], early, late, t))
    must(not tells(t, early, late), "the time tells where the secret differs")
  end
  local t, early, late = timed(naive)
  print(("the same measure on a naive comparison: %.1f ns, %.1f ns, t = %.1f"):format(early, late, t))
  must(tells(t, early, late), "the measure would not notice a leak")
end

-- 3. Load ---------------------------------------------------------------------------------------------

local function load()
  local latencies, answers, kept = {}, {}, 0
  local began, next_genuine, number = monotonic(), 0, 0
  local genuine_every = 1 / 50 -- below the receiver's own limit
  local forged_done = 0
  pump(function()
    local now = monotonic() - began
    if now >= SECONDS then
      return nil, true
    end
    number = number + 1
    if now >= next_genuine then
      next_genuine = next_genuine + genuine_every
      return { method = "POST", url = "/" .. secret, body = body("genuine-" .. number) }, false
    end
    return forge(number - number % #FORGERIES), false -- new secrets only
  end, function(result, seconds, request)
    if request.url == base .. "/" .. secret then
      latencies[#latencies + 1] = seconds * 1000
      answers[result.status or 0] = (answers[result.status or 0] or 0) + 1
      kept = kept + (result.status == 200 and 1 or 0)
    else
      forged_done = forged_done + 1
    end
  end)
  local seconds = monotonic() - began
  print(("load: %.0f requests/s answered, %d in flight; genuine posts %d, kept %d, p50 %.1f ms, p99 %.1f ms"):format(
    (forged_done + #latencies) / seconds, IN_FLIGHT, #latencies, kept, quantile(latencies, 0.5), quantile(latencies, 0.99)))
  must(kept == #latencies, "a genuine post was not kept")
  local reader = assert(callback.new{ secret = secret, store = folder .. "/store" })
  must(#reader.inbox:list() == kept, "the store does not hold what was answered with 200")
end

-- More genuine posts than the receiver takes: the rest is told to come again, and the store has what was answered.
local function flood()
  local statuses, latencies, began, number = {}, {}, monotonic(), 0
  pump(function()
    number = number + 1
    return monotonic() - began < SECONDS and { method = "POST", url = "/" .. secret, body = body("flood-" .. number) } or nil,
      monotonic() - began >= SECONDS
  end, function(result, seconds)
    statuses[result.status or 0] = (statuses[result.status or 0] or 0) + 1
    latencies[#latencies + 1] = seconds * 1000
  end)
  local total = #latencies
  print(("flood of genuine posts: %.0f/s answered, %d kept, %d told to come again, %d other; p50 %.1f ms, p99 %.1f ms; log %d bytes"):format(
    total / (monotonic() - began), statuses[200] or 0, statuses[503] or 0, total - (statuses[200] or 0) - (statuses[503] or 0),
    quantile(latencies, 0.5), quantile(latencies, 0.99), bytes_of("err")))
  must((statuses[200] or 0) > 0, "nothing was kept in a flood")
  must(total == (statuses[200] or 0) + (statuses[503] or 0), "something else than 200 and 503 was answered")
  must((statuses[200] or 0) <= 200 + 100 * (monotonic() - began) + 1, "more than the rate was kept")
  must(bytes_of("err") <= LOG_BYTES, "the log grew to " .. bytes_of("err") .. " bytes")
end

for _, part in ipairs({ forged, forged_signatures, timing, load, flood }) do
  part()
  io.stdout:flush()
end
engine:close()
process:signal("TERM")
must(process:wait(10) and true or false, "the command did not end")
process:close()
os.execute("rm -rf '" .. folder .. "'")
os.exit(failures == 0 and 0 or 1, true)
