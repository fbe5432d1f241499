-- SPDX-License-Identifier: MIT
-- What the locations of transport_spec.lua run inside nginx. Each says what happened in its answer.

local M = {}

local function transport_of()
  return require("campaign.transport").new()
end

local function ask(transport, path)
  local result, err = transport:perform({ url = ngx.var.upstream .. path, account = "worker" })
  if not result then
    return "refused " .. tostring(err)
  elseif result.error then
    return "failed " .. tostring(result.error)
  end
  return result.status .. " " .. result.body
end

function M.perform()
  local transport = transport_of()
  local said = ask(transport, ngx.unescape_uri(ngx.var.arg_path))
  transport:close()
  ngx.print(said)
  ngx.exit(200)
end

-- Light threads that compute for long, and pause: how often two of them did so in the same turn of the loop, and whether each got its turns.
function M.turns()
  local env, count, each = require("campaign.openresty.env"), 20, 4
  local clock = require("campaign.core").system.monotonic
  local turn, is_over, seen, shared, threads = 0, false, {}, 0, {}
  local ticker = ngx.thread.spawn(function()
    while not is_over do -- once in a turn: each takes longer than the sleep
      ngx.sleep(0.001)
      turn = turn + 1
    end
  end)
  for i = 1, count do
    threads[i] = ngx.thread.spawn(function()
      for _ = 1, each do
        env.pause()
        shared = shared + (seen[turn] and 1 or 0)
        seen[turn] = true
        local stop = clock() + 0.003
        repeat until clock() > stop
      end
      return true
    end)
  end
  local finished = 0
  for i = 1, count do
    finished = finished + (select(2, ngx.thread.wait(threads[i])) and 1 or 0)
  end
  is_over = true
  ngx.thread.wait(ticker)
  -- A machine that stops the worker for a tenth of a second has turns taken for lost, and ordered anew: that may be a few of them.
  ngx.print(finished, " finished, ", shared <= count * each / 10 and "hardly any" or shared, " beside another")
end

-- Light threads that nginx went on with from a timer, compute and pause: how often the loop did not look at its sockets in between. It
-- reads its clock there and nowhere else.
function M.pauses()
  local env = require("campaign.openresty.env")
  local clock, missed, threads = require("campaign.core").system.monotonic, 0, {}
  for i = 1, 5 do
    threads[i] = ngx.thread.spawn(function()
      for _ = 1, 5 do
        env.sleep(0.001)
        for _ = 1, 2 do
          local before, stop = ngx.now(), clock() + 0.003
          repeat until clock() > stop
          env.pause()
          missed = missed + (ngx.now() == before and 1 or 0)
        end
      end
      return true
    end)
  end
  local finished = 0
  for i = 1, 5 do
    finished = finished + (select(2, ngx.thread.wait(threads[i])) and 1 or 0)
  end
  ngx.print(finished, " finished, ", missed, " missed")
end

-- How often a wait for results looked at its semaphore: for less time than nginx can wait, and behind many results that came at once.
function M.waits()
  local kind = getmetatable(require("ngx.semaphore").new(0)).__index
  local wait, count, told = kind.wait, 0, {}
  kind.wait = function(...)
    count = count + 1
    return wait(...)
  end
  local transport = transport_of()
  local function count_of(work)
    local before = count
    work()
    told[#told + 1] = count - before
  end
  local slow = assert(transport:submit({ url = ngx.var.upstream .. "/slow?ms=500", account = "worker" }))
  transport:next(0.02)
  count_of(function() transport:next(0.0005) end)
  local ids = {}
  local sleeper = ngx.thread.spawn(function() return transport:next(20) end)
  for i = 1, 30 do
    ids[i] = assert(transport:submit({ url = ngx.var.upstream .. "/ok", account = "worker" }))
  end
  for _, id in ipairs(ids) do
    while transport:progress(id) do
      ngx.sleep(0.001)
    end
  end
  assert(ngx.thread.wait(sleeper))
  while transport:in_flight() > 1 do
    assert(transport:next(20))
  end
  count_of(function() transport:next(0.005) end)
  kind.wait = wait
  assert(transport:cancel(slow))
  transport:close()
  ngx.print(told[1] <= 15 and told[2] <= 15 and "few" or table.concat(told, " "))
end

-- Many requests at once to a TLS server, each with a handshake of its own; how they went, and for how long nobody else could.
function M.tls()
  local url, ca_file, count = ngx.unescape_uri(ngx.var.arg_url), ngx.unescape_uri(ngx.var.arg_ca), tonumber(ngx.var.arg_count)
  local transport, told, threads = transport_of(), {}, {}
  for i = 1, count do
    threads[i] = ngx.thread.spawn(function()
      local result = assert(transport:perform({ url = url, method = "POST", body = "x", ca_file = ca_file, max_connection_age = 0 }))
      local said = result.error and result.error.kind .. " " .. result.sent or result.status .. " " .. result.body
      told[said] = (told[said] or 0) + 1
    end)
  end
  for i = 1, count do
    assert(ngx.thread.wait(threads[i]))
  end
  transport:close()
  for said, times in pairs(told) do
    ngx.print(times, " ", said, ";")
  end
end

function M.timer()
  local upstream, said = ngx.var.upstream, nil
  local done = require("ngx.semaphore").new(0)
  assert(ngx.timer.at(0, function()
    local transport = transport_of()
    local result = assert(transport:perform({ url = upstream .. "/ok" }))
    said = result.status .. " " .. result.body
    done:post(1)
  end))
  assert(done:wait(20))
  ngx.print(said)
end

function M.many()
  local count, good, threads = tonumber(ngx.var.arg_count), 0, {}
  local transport = transport_of()
  for i = 1, count do
    threads[i] = ngx.thread.spawn(function()
      if ask(transport, "/slow?ms=" .. 20 + i % 30) == "200 ok" then
        good = good + 1
      end
    end)
  end
  for i = 1, count do
    assert(ngx.thread.wait(threads[i]))
  end
  assert(transport:in_flight() == 0)
  ngx.print(good)
end

function M.no_timers()
  local at = ngx.timer.at
  ngx.timer.at = function() return nil, "too many pending timers" end -- luacheck: ignore 122
  local ok, said = pcall(ask, transport_of(), "/slow?ms=50")
  ngx.timer.at = at -- luacheck: ignore 122
  ngx.print(tostring(ok and said))
end

-- Results come and are taken in turns that leave the queue's head empty while more arrives: none may be lost or come twice.
function M.interleave()
  local transport, waiting, told = transport_of(), {}, {}
  local function deliver(count)
    local ids = {}
    for i = 1, count do
      ids[i] = assert(transport:submit({ url = ngx.var.upstream .. "/ok", account = "worker" }))
      waiting[ids[i]] = true
    end
    for _, id in ipairs(ids) do
      while transport:progress(id) do -- until it has been delivered, and not taken
        ngx.sleep(0.001)
      end
    end
  end
  local function take(count)
    for _ = 1, count do
      local id, result = transport:next(20)
      assert(id, "a result that was delivered is lost: " .. transport:in_flight() .. " in flight")
      assert(waiting[id] and result.body == "ok", "a result came twice")
      waiting[id] = nil
    end
  end
  -- { delivered, taken }: the first two lose one where the end of a list is found by its length.
  for _, step in ipairs({ { 3, 2 }, { 1, 2 }, { 5, 3 }, { 2, 3 }, { 1, 2 }, { 7, 6 }, { 2, 2 }, { 3, 4 }, { 9, 1 }, { 1, 8 }, { 4, 5 } }) do
    deliver(step[1])
    assert(transport:ready() > 0)
    take(step[2])
    told[#told + 1] = transport:in_flight()
  end
  assert(next(waiting) == nil and transport:next(0) == nil)
  transport:close()
  ngx.print(table.concat(told, " "))
end

-- Requests like a template, of two transports at once, some with other answers than the expected one: each comes once, to its own transport.
function M.templates()
  local core, told = require("campaign.core"), {}
  local sides = {}
  for side = 1, 2 do
    local transport = transport_of()
    local template = assert(transport:template({ method = "POST", url = ngx.var.upstream .. "/echo", account = "worker", body = "not of it" }))
    assert(template:expect(200, "ok"))
    sides[side] = { transport = transport, template = template, waiting = {}, expected = 0, other = 0 }
  end
  local function submit(side, bodies)
    local sources, ids = {}, {}
    for i, body in ipairs(bodies) do
      sources[i] = core.source(body)
    end
    assert(side.transport:submit_like(side.template, sources, #bodies, 20, ids) == #bodies)
    for i, id in ipairs(ids) do
      side.waiting[id] = bodies[i]
    end
  end
  local function arrived(side, id, result)
    local body = assert(side.waiting[id], "an answer came twice, or to somebody else")
    side.waiting[id] = nil
    assert(result == nil and body == "ok" or result.status == 200 and result.body == body)
  end
  local function take(side, seconds, most, template)
    local into = {}
    local count, id, result = side.transport:known(seconds, template, most, into)
    assert(count <= most)
    for at = 1, 4 * count, 4 do
      assert(into[at + 1] > 0 and into[at + 2] == 2 and into[at + 3] == false)
      arrived(side, into[at])
      side.expected = side.expected + 1
    end
    if id then
      arrived(side, id, result)
      side.other = side.other + 1
    end
    return count > 0 or id ~= nil
  end
  for round = 1, 20 do
    for _, side in ipairs(sides) do
      submit(side, { "ok", "ok", round % 3 == 0 and "no" or "ok", "ok" })
    end
    if round % 4 == 0 then
      ngx.sleep(0.02) -- they are delivered before anybody asks
    end
    for _, side in ipairs(sides) do
      assert(take(side, 20, round % 5 + 1, round % 7 ~= 0 and side.template or nil))
    end
  end
  for _, side in ipairs(sides) do
    while side.transport:in_flight() > 0 do
      assert(take(side, 20, 3, side.template), "an answer is lost: " .. side.transport:in_flight() .. " in flight")
    end
    assert(next(side.waiting) == nil and not take(side, 0, 1, side.template))
    told[#told + 1] = side.expected + side.other
    assert(side.other >= 6 and side.expected > 0)
  end
  -- One side goes while its requests are in flight, and the other's still come; so they do when its template is closed.
  submit(sides[1], { "ok", "ok" })
  submit(sides[2], { "ok", "ok" })
  take(sides[1], 0, 1, sides[1].template)
  sides[1].transport:close()
  sides[1].template:close()
  assert(not pcall(sides[1].transport.submit_like, sides[1].transport, sides[1].template, {}, 0, 20, {}))
  sides[2].template:close()
  while sides[2].transport:in_flight() > 0 do
    assert(take(sides[2], 20, 4, sides[2].template))
  end
  sides[2].transport:close()
  ngx.print(table.concat(told, " "))
end

-- Waits for a transport that another light thread closes.
function M.closed_meanwhile()
  local transport = transport_of()
  assert(transport:submit({ url = ngx.var.upstream .. "/hang", account = "worker" }))
  local thread = ngx.thread.spawn(function() return tostring(transport:next()) end)
  ngx.sleep(0.02)
  ngx.update_time()
  local began = ngx.now()
  transport:close()
  local _, said = ngx.thread.wait(thread)
  ngx.update_time()
  ngx.print(said, " ", ngx.now() - began < 0.9 and "at once" or "late")
end

-- All timers that may run are taken when the dispatcher's time comes: nginx takes it and drops it.
function M.dropped_timer()
  local done = require("ngx.semaphore").new(0)
  assert(ngx.timer.at(0, function() done:wait(20) end))
  ngx.sleep(0.01)
  local said = ask(transport_of(), "/slow?ms=50")
  done:post(1)
  ngx.print(said)
end

-- Light threads that are killed while a file is synced for them.
function M.syncs()
  local sync, threads = require("campaign.openresty.sync"), {}
  local path = ngx.unescape_uri(ngx.var.arg_path)
  for i = 1, 20 do
    threads[i] = ngx.thread.spawn(function()
      sync.write_atomic(path .. i, tostring(i))
      error("it was not killed")
    end)
  end
  local pending = sync.pending()
  for i = 1, 20 do
    assert(ngx.thread.kill(threads[i]))
  end
  assert(sync.write_atomic(path, "last"))
  assert(sync.folder(path:match("^(.*)/")))
  ngx.print(pending > 1 and "some" or pending, " then ", sync.pending())
end

-- The same steps as spec/transport/curl_spec.lua takes in plain Lua.
function M.face()
  local transport, upstream = transport_of(), ngx.var.upstream
  assert(tostring(transport) == "campaign.transport.openresty")
  assert(transport:next() == nil and transport:next(0) == nil)
  local id = assert(transport:submit({ url = upstream .. "/ok" }))
  assert(transport:in_flight() == 1)
  local finished, result = transport:next()
  assert(finished == id and result.status == 200 and transport:in_flight() == 0)
  id = assert(transport:submit({ url = upstream .. "/hang" }))
  local before = ngx.now()
  assert(transport:next(0.05) == nil)
  ngx.update_time()
  assert(ngx.now() - before >= 0.045)
  assert(transport:progress(id).received == 0)
  local other = transport_of()
  assert(not other:cancel(id), "a request of another transport was cancelled")
  -- perform while another is in flight: each gets its own
  assert(transport:perform({ url = upstream .. "/ok" }).body == "ok" and transport:in_flight() == 1)
  assert(transport:cancel(id))
  finished, result = transport:next()
  assert(finished == id and result.error.kind == "cancelled" and not transport:cancel(id))
  local refused, err = transport:perform({ url = "http://example.com/" })
  assert(refused == nil and err.kind == "usage")
  assert(not pcall(transport.perform, transport, { url = upstream .. "/ok", misspelt = 1 }))
  assert(not pcall(require("campaign.transport.openresty").new, { driver = "thread" }))
  -- closing ends what is in flight, and tells whoever waits
  local problem
  local thread = ngx.thread.spawn(function() problem = select(2, pcall(ask, other, "/hang")) end)
  assert(other:in_flight() == 1)
  other:close()
  other:close()
  assert(ngx.thread.wait(thread))
  assert(tostring(problem):find("closed while a request was in flight", 1, true), problem)
  assert(not pcall(other.submit, other, { url = upstream .. "/ok" }))
  transport:forget("worker")
  ngx.print("ok")
end

function M.abort()
  local made, transport = pcall(require("campaign.transport.openresty").new, { on_abort = "cancel" })
  if not made then
    ngx.print(tostring(transport))
    return
  end
  local result = transport:perform({ url = ngx.var.upstream .. ngx.unescape_uri(ngx.var.arg_path) })
  ngx.log(ngx.NOTICE, "the result: ", result.error and result.error.kind, " ", result.sent)
end

function M.refused()
  local ok, problem = pcall(function() return transport_of():perform({ url = "http://127.0.0.1:1/" }) end)
  return ok and "it went through" or tostring(problem)
end

function M.refused_import()
  local ok, problem = pcall(require("campaign").import, { source = "none.csv", to = "longlong.import_customers_async" })
  return ok and "it went through" or tostring(problem)
end

function M.early()
  transport_of():perform({ url = "http://127.0.0.1:1/" })
end

function M.by_dofile()
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write("return require('nginx.handlers').refused()")
  file:close()
  local said = dofile(path)
  os.remove(path)
  ngx.print(said)
end

-- Timers that run beside none of ours: the dispatcher's would be counted here.
function M.idle()
  return ngx.timer.running_count()
end

return M
