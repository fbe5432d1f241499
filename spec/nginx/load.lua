-- SPDX-License-Identifier: MIT
-- Keeps requests in flight against nginx and counts what comes back: load.lua PORT IN_FLIGHT MS STOP_FILE [COUNT]
-- It ends when STOP_FILE exists (or after COUNT requests) and all replies are in; the last line is "sent replies wrong".

local curl = require "campaign.transport.curl"
require "campaign.error" -- errors say what they are

local port, in_flight, ms, stop_file, count = arg[1], tonumber(arg[2]), arg[3], arg[4], tonumber(arg[5])
local transport = curl.new()
local sent, replies, wrong = 0, 0, 0

local function stopped()
  if count then
    return sent >= count
  end
  local file = io.open(stop_file)
  if file then
    file:close()
  end
  return file ~= nil
end

local function start()
  sent = sent + 1
  -- A connection per request: a reload may close idle ones, and this test is about requests, not about keep-alive.
  assert(transport:submit({
    url = "http://127.0.0.1:" .. port .. "/call?ms=" .. ms .. "&account=" .. sent % 4, max_connection_age = 0,
  }))
end

local done = stopped()
while not done or transport:in_flight() > 0 do
  while not done and transport:in_flight() < in_flight do
    start()
    done = stopped()
  end
  local _, result = transport:next()
  if result and result.status == 200 and result.body == "ok" then
    replies = replies + 1
  elseif result then
    wrong = wrong + 1
    if wrong <= 5 then
      io.stderr:write("wrong reply: ", tostring(result.status), " ", tostring(result.error or result.body), "\n")
    end
  end
  done = done or stopped()
end
transport:close()
print(sent, replies, wrong)
