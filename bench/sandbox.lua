-- SPDX-License-Identifier: MIT
-- How many requests a second the sandbox judges, and how many uploaded rows: prints one line for each kind of request.
--   make build && eval "$(bin/campaign env)" && lua5.4 bench/sandbox.lua [seconds for each kind, 3] [rows of the uploaded file, 200000]
-- The requests come from our own engine in this process, 16 in flight; the sandbox is a process of its own.

local campaign = require "campaign"
local core = require "campaign.core"
local sandbox = require "campaign.sandbox"

local SECONDS = tonumber(arg[1]) or 3
local UPLOAD_ROWS = tonumber(arg[2]) or 200000
local IN_FLIGHT = 16

local handle = assert(sandbox.start{ clock = "2025-11-10 10:00:00" })
local accounts = handle.accounts
local engine = core.http.engine{ driver = "inline" }

local COMPONENT = "aaaaaaaa-0000-4000-8000-000000000001" -- one that the sandbox's pool has

-- Seconds of processor time that the sandbox has used. A busy machine changes what a clock on the wall shows, but hardly this.
local function processor()
  local file = assert(io.open("/proc/" .. handle.process:pid() .. "/stat"))
  local fields = {}
  for field in file:read("*a"):gsub("^.*%) ", ""):gmatch("%S+") do
    fields[#fields + 1] = field
  end
  file:close()
  return (tonumber(fields[12]) + tonumber(fields[13])) / 100
end

local function median(list)
  table.sort(list)
  return list[math.ceil(#list / 2)] or 0
end

-- Sends requests that `make` gives, for a while; every answer must be a 200.
local function measure(name, make)
  local began, used = core.system.monotonic(), processor()
  local sent, done, bytes, started, times = 0, 0, 0, {}, {}
  while true do
    local now = core.system.monotonic()
    while now - began < SECONDS and sent - done < IN_FLIGHT do
      sent = sent + 1
      local request = make(sent)
      request.account = "bench"
      request.url = handle.base_url .. request.url
      bytes = bytes + #(request.body or "")
      started[assert(engine:submit(request))] = now
    end
    if done == sent then
      break
    end
    engine:wait(1)
    local id, result = engine:take()
    while id do
      assert(result.status == 200, tostring(result.error or result.body))
      times[#times + 1] = core.system.monotonic() - started[id]
      started[id] = nil
      done = done + 1
      id, result = engine:take()
    end
  end
  local seconds = core.system.monotonic() - began
  print(("%-44s %8.0f requests/s %8.0f/s of processor %7.1f MB/s  median %6.2f ms"):format(name, done / seconds,
    done / (processor() - used), bytes / seconds / 1e6, median(times) * 1000))
  io.stdout:flush()
  return done / seconds
end

local function header(name, value)
  return { name, value }
end

local JSON = header("Content-Type", "application/json")

-- Bodies are made beforehand: what is measured is the sandbox.
local function bodies(make)
  local list = {}
  for i = 1, 16 do
    list[i] = assert(core.json.encode(make(i)))
  end
  return list
end

local function longlong(rows)
  local list = bodies(function(number)
    local data = {}
    for i = 1, rows do
      data[i] = {
        name = "客户" .. i, phone = ("1380%07d"):format(number * rows + i), email = "c" .. i .. "@example.com",
        company = "某某科技有限公司", sex = i % 3, extra = "job." .. i,
        components = core.json.array{ { id = COMPONENT, value = "等级" .. i % 5 } },
      }
    end
    return { data = core.json.array(data), encryption = false }
  end)
  return function(number)
    return {
      method = "POST", url = "/agent-api/user/" .. accounts.longlong.user_id .. "/async_customer",
      headers = { JSON, header("Authorization", "Bearer " .. accounts.longlong.token) }, body = list[number % #list + 1],
    }
  end
end

local function tuzhan(rows)
  local list = bodies(function(number)
    local data = {}
    for i = 1, rows do
      data[i] = { identityType = "phone", phone = ("1390%07d"):format(number * rows + i), groups = "autumn,group" .. i % 7 }
    end
    return { publicParams = { isMatching = true, matchingType = 1, optType = "add" }, data = core.json.array(data) }
  end)
  return function(number)
    return {
      method = "POST", url = "/api/integrate/audience/group/rel/batchAdd", headers = { JSON, header("X-Token", accounts.tuzhan.token) },
      body = list[number % #list + 1],
    }
  end
end

-- One file, sent by the client as an import would.
local function upload()
  local lines = { "uuid,name,phone,company\r\n" }
  for i = 1, UPLOAD_ROWS do
    lines[#lines + 1] = ("3a5b070f-8076-40d2-849e-%012d,Zhang San,1380%07d,Acme\r\n"):format(i, i)
  end
  local client = assert(campaign.connect("outbound", accounts.outbound))
  local began, used = core.system.monotonic(), processor()
  assert(client:upload_contacts_file({
    dataSourceFile = { content = table.concat(lines), filename = "contacts.csv" }, operationType = "0",
    dataSourceName = accounts.outbound.data_source or handle.seeds.outbound.data_source,
  }, { window = "ignore" }))
  local seconds = core.system.monotonic() - began
  client:close()
  local text = "%-44s %8.0f rows/s     %8.0f/s of processor (%d rows, %.2f s)"
  print(text:format("file upload (upload_contacts_file)",
    UPLOAD_ROWS / seconds, UPLOAD_ROWS / (processor() - used), UPLOAD_ROWS, seconds))
end

measure("small GET (get_contact_group_detail)", function()
  return {
    method = "GET", url = "/api/v1/config/openapi/contact/contactGroupDetail?abbreviate=acme",
    headers = { header("token", accounts.outbound.token) },
  }
end)
measure("1 row POST (import_customers_async)", longlong(1))
measure("200 rows POST (import_customers_async)", longlong(200))
measure("200 rows POST (batch_add_group_relations)", tuzhan(200))
upload()
engine:close()
handle:stop()
