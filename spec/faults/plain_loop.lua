-- SPDX-License-Identifier: MIT
-- The script that people write today, as a peer of the fault matrix: a loop over lua-curl that sends a batch, takes 200 and a code of success
-- for done, tries again up to five times otherwise, and lists what it gave up on. It keeps its connection, has a time limit, notes how far
-- it is, and is started again as long as batches are left: more care than most. Needs LuaJIT and Debian's lua-curl.

local curl = require "curl"
local json = require "cjson"

local M = {}

local PER_CALL, ATTEMPTS, LIMIT_MS = 10, 5, 300

local BOUNDARY = "----------------------------7d1f0c55a9e24b31"

local function form(fields, csv)
  local parts = {}
  for _, field in ipairs(fields) do
    parts[#parts + 1] = ("--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n"):format(BOUNDARY, field[1], field[2])
  end
  local file = "name=\"dataSourceFile\"; filename=\"contacts.csv\"\r\nContent-Type: text/csv"
  parts[#parts + 1] = ("--%s\r\nContent-Disposition: form-data; " .. file .. "\r\n\r\n%s\r\n--%s--\r\n")
    :format(BOUNDARY, csv, BOUNDARY)
  return table.concat(parts)
end

local function phones(first, count)
  local list = {}
  for i = 1, count do
    list[i] = ("138%08d"):format(first + i - 1)
  end
  return list
end

-- What a batch is for each platform: path, headers, body.
local KINDS = {
  L = { path = "/agent-api/user/u-1/async_customer", body = function(list)
    local data = {}
    for i, phone in ipairs(list) do
      data[i] = { name = "name", phone = phone }
    end
    return json.encode{ data = data, encryption = false }
  end },
  T = { path = "/api/integrate/audience/group/rel/batchAdd", body = function(list)
    local data = {}
    for i, phone in ipairs(list) do
      data[i] = { identityType = "phone", phone = phone, groups = "old" }
    end
    return json.encode{ publicParams = { isMatching = true, matchingType = 1, optType = "add" }, data = data }
  end },
  J = { path = "/api/v1/config/openapi/contact/batch/json/upload", body = function(list)
    local data = {}
    for i, phone in ipairs(list) do
      data[i] = { "c-" .. i, "name", phone, "company" }
    end
    return json.encode{ abbreviate = "acme", dataSourceName = "autumn", dataList = data }
  end },
  U = { path = "/api/v1/config/openapi/contact/uploadDataSource/v2", type = "multipart/form-data; boundary=" .. BOUNDARY, body = function(list)
    local lines = { "uuid,name,phone,company\r\n" }
    for i, phone in ipairs(list) do
      lines[i + 1] = ("c-%d,name,%s,company\r\n"):format(i, phone)
    end
    return form({ { "token", "t" }, { "abbreviate", "acme" }, { "dataSourceName", "autumn" }, { "operationType", "0" } }, table.concat(lines))
  end },
}

---Whether this peer can play a scenario: tokens and polls are more than a loop.
function M.plays(scenario)
  return KINDS[scenario.kind.op] ~= nil and not scenario.kind.poll
end

local function is_success(status, text)
  if status < 200 or status > 299 then
    return false
  end
  local ok, reply = pcall(json.decode, text)
  return ok and type(reply) == "table" and (tostring(reply.code) == "200" or reply.code == 200)
end

---@return table figures lost, unreported_duplicates, false_success; rows it listed as failed; ambiguous is always 0: it knows no doubt
function M.run(scenario, server)
  server:order("reset\n" .. scenario.orders)
  local kind, rows = KINDS[scenario.kind.op], scenario.rows or 30
  local easy = curl.easy_init()
  local status, chunks
  easy:setopt(curl.OPT_URL, server.base .. kind.path)
  easy:setopt(curl.OPT_POST, 1)
  easy:setopt(curl.OPT_NOSIGNAL, 1)
  easy:setopt(curl.OPT_TIMEOUT_MS, LIMIT_MS)
  easy:setopt(curl.OPT_HTTPHEADER, { "Content-Type: " .. (kind.type or "application/json"), "Authorization: Bearer t", "X-Token: t", "Expect:" })
  easy:setopt(curl.OPT_WRITEFUNCTION, function(text)
    chunks[#chunks + 1] = text
    return #text, nil
  end)
  easy:setopt(curl.OPT_HEADERFUNCTION, function(line)
    status = tonumber(line:match("^HTTP/%S+ (%d+)")) or status
    return #line, nil
  end)
  local outcome = {}
  local function send(first)
    local body = kind.body(phones(first, PER_CALL))
    easy:setopt(curl.OPT_POSTFIELDSIZE, #body)
    easy:setopt(curl.OPT_POSTFIELDS, body)
    for _ = 1, ATTEMPTS do
      status, chunks = 0, {}
      if easy:perform() == 0 and is_success(status, table.concat(chunks)) then
        return true
      end
    end
    return false
  end
  for round = 1, 3 do -- with the fault, then started again for what it gave up on, the fault being gone
    for first = 1, rows, PER_CALL do
      if not outcome[first] then
        outcome[first] = send(first)
      end
    end
    if round == 1 then
      server:order("calm\nup")
    end
  end
  if easy.close then
    easy:close()
  end
  local log = server:read()
  local figures = { lost = 0, unreported_duplicates = 0, false_success = 0, ambiguous = 0, in_flight_at_fault = log.struck * PER_CALL }
  for first = 1, rows, PER_CALL do
    for row = first, first + PER_CALL - 1 do
      local times = log.times[row] or 0
      if times == 0 and outcome[first] then
        figures.lost = figures.lost + 1 -- it says done, and nobody will look again
        figures.false_success = figures.false_success + 1
      elseif times > 1 or times > 0 and not outcome[first] then
        figures.unreported_duplicates = figures.unreported_duplicates + 1
      end
    end
  end
  return figures
end

return M
