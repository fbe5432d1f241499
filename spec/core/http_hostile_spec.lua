-- SPDX-License-Identifier: MIT
-- The evidence of every attempt against what a server really received that answers as badly as random numbers want (spec/support/hostile_server.c):
-- broken framing, wrong lengths, floods of interim answers, resets and half-closes at any byte, answers too many. HOSTILE_REQUESTS and
-- HOSTILE_SEED ask for longer or other runs; a failure names both.

local command = require "support.command"
local core = require "campaign.core"
local raw_server = require "support.raw_server"

local COUNT = tonumber(os.getenv("HOSTILE_REQUESTS") or os.getenv("CAMPAIGN_TEST_TOOL") == "valgrind" and "40" or "150")
local SEED = tonumber(os.getenv("HOSTILE_SEED") or "1")

local function start(seed)
  local folder = command.folder()
  local server = { folder = folder, log = folder .. "/log" }
  local program = (os.getenv("CAMPAIGN_BUILD") or "build") .. "/spec/hostile_server"
  server.pipe = io.popen(("exec %s %s %d"):format(command.quote(program), command.quote(server.log), seed), "w")
  local port = raw_server.eventually(function()
    local file = io.open(server.log, "rb")
    local line = file and file:read("*l")
    if file then
      file:close()
    end
    return line and line:match("^P (%d+)$")
  end, "the server's port")
  server.url = "http://127.0.0.1:" .. port .. "/"
  return server
end

-- What the server received, by id; and how many requests of which it read something but no path.
local function received(server)
  local by_id, nameless = {}, 0
  for line in io.lines(server.log) do
    local id, bytes, whole, clean, status = line:match("^Q %d+ %d+ (%-?%d+) (%d+) ([01]) ([012]) (%d+)$")
    if id then
      id, bytes = tonumber(id), tonumber(bytes)
      if id < 0 then
        nameless = nameless + (bytes > 0 and 1 or 0)
      else
        by_id[id] = by_id[id] or { times = 0, bytes = 0, wholes = 0 }
        local entry = by_id[id]
        entry.times, entry.bytes, entry.wholes = entry.times + 1, entry.bytes + bytes, entry.wholes + tonumber(whole)
        entry.clean, entry.flipped, entry.status = clean == "1", clean == "2", tonumber(status)
      end
    end
  end
  return by_id, nameless
end

-- Numbers that are the same on every Lua.
local function random_of(seed)
  local state = seed % 2147483646 + 1
  return function(n)
    state = state * 16807 % 2147483647
    return state % n
  end
end

local function request_of(server, id, random)
  local request = { url = server.url .. id, account = "hostile", headers = { { "X-Token", "t" .. id } },
    limits = { total = 0.4, connect = 1, stall = 1, body = 65536, headers = 16384 } }
  local way, kind = random(40), random(10)
  if way == 0 then
    request.url = "http://127.0.0.1:1/" .. id -- nobody listens
  elseif way == 1 then
    request.url = server.url:gsub("^http", "https") .. id
  elseif way == 2 then
    request.url, request.proxy, request.account = "http://127.0.0.1:1/" .. id, server.url, "proxy"
    request.allow_http = true
  elseif way == 3 then
    request.url, request.proxy, request.account = "https://127.0.0.1:1/" .. id, server.url, "proxy"
  end
  if kind < 2 then
    request.method = "GET"
  elseif kind == 2 then
    request.method = "HEAD"
  elseif kind < 6 then
    request.method, request.body = "POST", ("b"):rep(random(3000))
  elseif kind == 6 then
    request.method, request.body = "PUT", ("b"):rep(100000)
  elseif kind == 7 then
    request.method, request.body = "POST", core.source(("s"):rep(random(20000) + 1))
  elseif kind == 8 then
    request.method = "POST"
    request.body = core.form{ { name = "a", value = "1" }, { name = "f", filename = "f.csv", type = "text/csv", value = ("f"):rep(random(9000)) } }
  else
    request.method = "PATCH"
  end
  if random(6) == 0 then
    request.headers[#request.headers + 1] = { "Accept-Encoding", "gzip, deflate" }
  end
  return request
end

local function header_of(result, name)
  for _, pair in ipairs(result.headers) do
    if pair[1]:lower() == name then
      return pair[2]
    end
  end
end

local function check(id, result, entry, what)
  assert.is_true(result.sent == "no" or result.sent == "maybe" or result.sent == "yes", what)
  if result.sent == "no" then
    assert.is_nil(entry, what .. ": told as not sent, and the server has bytes of it")
    assert.truthy(result.error, what)
  end
  if entry then
    assert.is_true(entry.times == 1, what .. ": went out " .. entry.times .. " times")
    assert.is_true(entry.wholes <= 1, what)
  end
  if result.bytes_expected and entry and entry.wholes == 1 and result.sent ~= "yes" then
    assert.equal(result.bytes_expected, result.bytes_sent, what .. ": the server has it whole, and the count says it has not")
  end
  if result.sent == "yes" then
    assert.is_falsy(result.guard, what)
    assert.is_true(result.status >= 200, what .. ": " .. result.status)
  else
    assert.truthy(result.error, what)
    assert.equal(result.sent, result.error.sent, what)
  end
  -- Of whatever arrived, nothing belongs to another request.
  local own = "id:" .. id .. ":"
  for _, text in ipairs({ result.body or "", header_of(result, "x-id") or "" }) do
    for other in text:gmatch("id:%d+:") do
      assert.is_true(other == own or entry.flipped, what .. ": has the answer of " .. other)
    end
  end
  if entry and entry.clean and result.sent == "yes" then
    assert.equal(entry.status, result.status, what)
    assert.equal(own, header_of(result, "x-id"), what)
    assert.is_true(#result.body == 0 or result.body:find('^{"code":200,"id":"' .. own .. '","pad":"x*"}$') ~= nil, what)
  end
end

local function run(driver, in_flight, seed)
  local server = start(seed)
  local random, engine = random_of(seed), core.http.engine{ driver = driver }
  local results, ids, sent = {}, {}, 0
  local began = core.system.monotonic()
  while sent < COUNT or next(ids) do
    while sent < COUNT and engine:in_flight() < in_flight do
      sent = sent + 1
      ids[assert(engine:submit(request_of(server, sent, random)))] = sent
    end
    local id, result = engine:take(60)
    assert.truthy(id, "nothing came in a minute")
    local number = ids[id]
    ids[id] = nil
    results[number] = { sent = result.sent, error = result.error, status = result.status, body = result.body, headers = result.headers,
      guard = result.guard, bytes_sent = result.bytes_sent, bytes_expected = result.bytes_expected }
  end
  local taken = core.system.monotonic() - began
  engine:close()
  server.pipe:close()
  local by_id, nameless = received(server)
  local counts = { no = 0, maybe = 0, yes = 0 }
  local unseen, answered = 0, 0 -- attempts told as perhaps sent, or as answered, of which the server knows no path
  for id, result in ipairs(results) do
    local what = ("HOSTILE_SEED=%d HOSTILE_REQUESTS=%d %s, %d in flight, request %d (%s, %s %s)"):format(seed, COUNT, driver, in_flight, id,
      result.sent, tostring(result.status), tostring(result.error))
    check(id, result, by_id[id], what)
    counts[result.sent] = counts[result.sent] + 1
    unseen = unseen + (result.sent ~= "no" and not by_id[id] and 1 or 0)
    answered = answered + (result.sent == "yes" and not by_id[id] and 1 or 0)
  end
  assert.is_true(nameless <= unseen, ("seed %d: %d requests reached the server in part, %d are told as perhaps sent"):format(seed, nameless, unseen))
  assert.is_true(answered <= nameless, ("seed %d: %d answers to what the server never had"):format(seed, answered - nameless))
  command.remove(server.folder)
  return counts, taken
end

describe("the evidence of an attempt", function()
  for _, driver in ipairs({ "inline", "thread" }) do
    for _, in_flight in ipairs({ 1, 8 }) do
      it(("R009 client holds against a hostile server: %s, %d in flight"):format(driver, in_flight), function()
        local counts = run(driver, in_flight, SEED + in_flight)
        if os.getenv("HOSTILE_REQUESTS") then
          io.stderr:write(("  %s, %d: yes %d, maybe %d, no %d\n"):format(driver, in_flight, counts.yes, counts.maybe, counts.no))
        end
        assert.is_true(counts.yes > COUNT / 4 and counts.maybe > 0)
      end)
    end
  end
end)
