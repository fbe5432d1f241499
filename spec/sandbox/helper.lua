-- SPDX-License-Identifier: MIT
-- What the sandbox's specs share: one child process, plain requests on the core's engine, multipart bodies put
-- together by hand (so that the client's writer does not vouch for the sandbox's reader), and `rule`, which proves
-- a rule twice: the test passes while the rule holds, and fails when the rule is switched off by its number.

local core = require "campaign.core"
local json = require "campaign.sandbox.json"
local sandbox = require "campaign.sandbox"

local M = { json = json }

local BOUNDARY = "----spec0123456789abcdef"

local engine, handle

M.NOON = "2025-11-10 10:00:00"

---The sandbox of this spec file, started when first asked for; its clock stands still.
function M.start(options)
  M.stop()
  options = options or {}
  options.clock = options.clock or M.NOON
  options.clock_rate = options.clock_rate or 0
  handle = assert(sandbox.start(options))
  engine = assert(core.http.engine())
  M.handle, M.accounts, M.seeds = handle, handle.accounts, handle.seeds
  return handle
end

function M.stop()
  if handle then
    handle:stop()
    handle = nil
  end
  if engine then
    engine:close()
    engine = nil
  end
end

---Begins one request; its id.
function M.begin(method, path, headers, body)
  local list = {}
  for name, value in pairs(headers or {}) do
    list[#list + 1] = { name, value }
  end
  return assert(engine:submit{
    method = method, url = handle.base_url .. path, headers = list, body = body,
    limits = { connect = 5, stall = 10, total = 20, body = 67108864, headers = 65536 },
  })
end

---The id and result of the request that ends next.
function M.ended()
  local id, result
  repeat
    engine:wait(5)
    id, result = engine:take()
  until id
  return id, result
end

---Sends one request; a result whose headers are a map by lower-case name and whose body is decoded into `json`.
function M.send(method, path, headers, body)
  M.begin(method, path, headers, body)
  local _, result = M.ended()
  local map = {}
  for _, header in ipairs(result.headers or {}) do
    map[header[1]:lower()] = header[2]
  end
  local reply = { status = result.status, body = result.body, headers = map, error = result.error, sent = result.sent }
  if (map["content-type"] or ""):find("json", 1, true) and result.body then
    reply.json = json.decode(result.body)
  end
  return reply
end

function M.get(path, headers)
  return M.send("GET", path, headers)
end

---Sends a JSON body: a text as it is, a table encoded.
function M.post(path, headers, body, method)
  local all = { ["Content-Type"] = "application/json" }
  for name, value in pairs(headers or {}) do
    all[name] = value
  end
  return M.send(method or "POST", path, all, type(body) == "table" and json.encode(body) or body)
end

---Sends parts { name, value } or { name, content, filename, type }.
function M.form(path, headers, parts)
  local pieces = {}
  for _, part in ipairs(parts) do
    local line = 'Content-Disposition: form-data; name="' .. part[1] .. '"'
    if part[3] then
      line = line .. '; filename="' .. part[3] .. '"\r\nContent-Type: ' .. (part[4] or "text/csv")
    end
    pieces[#pieces + 1] = "--" .. BOUNDARY .. "\r\n" .. line .. "\r\n\r\n" .. part[2] .. "\r\n"
  end
  pieces[#pieces + 1] = "--" .. BOUNDARY .. "--\r\n"
  local all = { ["Content-Type"] = "multipart/form-data; boundary=" .. BOUNDARY }
  for name, value in pairs(headers or {}) do
    all[name] = value
  end
  return M.send("POST", path, all, table.concat(pieces))
end

function M.control(path, body)
  return assert(handle:control(path, body))
end

---Fresh state, the clock at ten in the morning, every rule on, no second form.
function M.reset()
  M.control("rules", { without = json.array{}, forms = json.array{} })
  M.control("clock", { at = M.NOON, rate = 0 })
  M.control("reset", {})
end

function M.at(time)
  M.control("clock", { at = time })
end

function M.form_on(name)
  M.control("rules", { forms = json.array{ name } })
end

function M.faults(...)
  M.control("faults", { faults = json.array{ ... } })
end

---All entries of the commit log, or those of one operation.
function M.commits(operation)
  local list = {}
  for _, entry in ipairs(M.control("commits?limit=10000").commits) do
    if operation == nil or entry.operation == operation then
      list[#list + 1] = entry
    end
  end
  return list
end

---What declares the test of one rule: `rule("R019", "refuses ...", function() ... end)`.
---@param it function busted's, which only spec files see
function M.rules(it)
  return function(number, text, test)
    M.declare(it, number, text, test)
  end
end

function M.declare(it, number, text, test)
  it(number .. " sandbox " .. text, function()
    M.reset()
    test()
    M.reset()
    M.control("rules", { without = json.array{ number } })
    local ok = pcall(test)
    M.reset()
    assert(not ok, "the test of " .. number .. " passes although the rule is switched off")
  end)
end

return M
