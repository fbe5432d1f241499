-- SPDX-License-Identifier: MIT
-- Counters and histograms of all workers in one dictionary of ngx.shared, and a location that exports them in Prometheus format. Counting
-- never fails a request: without a dictionary nothing is counted, and what a full one cannot store is counted as lost.

local core = require "campaign.core"
local request = require "campaign.openresty.request"

local M = {}

local ngx = package.loaded.ngx

local PREFIX = "metric:"

-- What each name means. A name that is not here is a fault of the program.
local HELP = {
  campaign_callbacks_total = { "counter", "Posts to the callback location, by status of the answer" },
  campaign_callback_bodies_total = { "counter", "Bodies that were kept, by what they are" },
  campaign_leads_total = { "counter", "Leads, by what became of them" },
  campaign_uploads_total = { "counter", "Posts to the upload location, by status of the answer" },
  campaign_jobs_total = { "counter", "Jobs that ended, by state" },
  campaign_job_rows_total = { "counter", "Rows of jobs that ended, by state" },
  campaign_jobs_running = { "gauge", "Jobs that run now" },
  campaign_request_seconds = { "histogram", "How long posts took to the end of their answer, by handler" },
  campaign_attempt_seconds = { "histogram", "How long calls of platforms took, by the class of the status or the kind of the error" },
  campaign_metrics_lost_total = { "counter", "Counts that a full dictionary could not take" },
}

-- Upper ends of a histogram's buckets, in seconds: from a sync of a good disk to the longest call.
local ENDS = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60 }

local shared
local keys = {} -- name → label value → key, so that counting makes no strings; values are few

-- Attempts whose results were taken together, by outcome: counts of buckets by their number, and the sum. They go to the dictionary together.
local taken = {}

local CLASSES = { "1xx", "2xx", "3xx", "4xx", "5xx" }

local function bucket_of(seconds)
  local bucket = 1
  while ENDS[bucket] and seconds > ENDS[bucket] do
    bucket = bucket + 1
  end
  return bucket
end

local function observe_attempt(result)
  local status, problem, seconds = result.status, result.error, result.seconds
  if not seconds then
    return
  end
  local outcome = problem and problem.kind or status and CLASSES[math.floor(status / 100)] or "none"
  local counts = taken[outcome]
  if not counts then
    counts = { [0] = 0 }
    taken[outcome] = counts
  end
  local bucket = bucket_of(seconds)
  counts[0], counts[bucket] = counts[0] + math.max(0, seconds), (counts[bucket] or 0) + 1
end

---Names the dictionary that counters live in.
---@param name string a lua_shared_dict
function M.use(name)
  shared = ngx.shared[name]
  if not shared then
    error(("nginx.conf declares no dictionary of that name: add `lua_shared_dict %s 1m;` to its http block"):format(tostring(name)), 2)
  end
  require("campaign.transport.openresty").observe(observe_attempt, M.tell_attempts)
end

-- Adds without throwing anything out of the dictionary.
local function add(key, amount)
  local value = shared:incr(key, amount)
  if value then
    return true
  end
  local added, why = shared:safe_add(key, amount)
  return added or why == "exists" and shared:incr(key, amount) ~= nil
end

local function tell_lost()
  add(PREFIX .. "campaign_metrics_lost_total", 1)
end

-- The series of a label's value, without the name.
local function series_of(label, value)
  return label and "{" .. label .. "=\"" .. tostring(value):gsub("[^%w_ -]", "_") .. "\"}" or ""
end

-- The keys of a series, made once; no function for each look, which would be garbage for each post.
local function known(name, label, value, make)
  local at = value == nil and "" or value
  local of_name = keys[name]
  if not of_name then
    of_name = {}
    keys[name] = of_name
  end
  local found = of_name[at]
  if not found then
    found = make(name, label, value)
    of_name[at] = found
  end
  return found
end

local START = 20 -- of what /proc says of a process behind its name: when it began

-- A process by its number and its beginning, since numbers are given again; nothing when there is none of that number.
local function process_of(pid)
  local text = core.system.read_file("/proc/" .. pid .. "/stat", 4096) or ""
  local at = 0
  for word in text:sub((text:find("%)[^)]*$") or #text) + 1):gmatch("%S+") do
    at = at + 1
    if at == START then
      return pid .. "." .. word
    end
  end
  return nil
end

-- A gauge is each process's own, so that what a worker counted that was killed does not stay for ever.
local function make_key(name, label, value)
  local pid = ngx.worker.pid()
  return PREFIX .. name .. series_of(label, value) .. (HELP[name][1] == "gauge" and "@" .. (process_of(pid) or pid) or "")
end

local function make_parts(name, label, value)
  local head, made = PREFIX .. name .. series_of(label, value) .. "#", {}
  for i = 0, #ENDS + 1 do
    made[i] = head .. i -- 0 is the sum, the last one is for all beyond the last end
  end
  return made
end

---Counts.
---@param name string
---@param label string? with one value
---@param value any?
---@param amount number? default 1; negative for a gauge
function M.count(name, label, value, amount)
  if not HELP[name] or HELP[name][1] == "histogram" then
    error("unknown counter " .. tostring(name), 2)
  end
  if not shared or amount == 0 then
    return
  end
  if not add(known(name, label, value, make_key), amount or 1) then
    tell_lost()
  end
end

---Puts a duration into a histogram: one count of its bucket, and the sum.
---@param name string
---@param label string
---@param value any
---@param seconds number?
function M.observe(name, label, value, seconds)
  if not HELP[name] or HELP[name][1] ~= "histogram" then
    error("unknown histogram " .. tostring(name), 2)
  end
  if not shared or not seconds then
    return
  end
  local parts = known(name, label, value, make_parts)
  if not (add(parts[bucket_of(seconds)], 1) and add(parts[0], math.max(0, seconds))) then
    tell_lost()
  end
end

---Puts the attempts that were observed into the histogram.
function M.tell_attempts()
  for outcome, counts in pairs(taken) do
    local parts = known("campaign_attempt_seconds", "outcome", outcome, make_parts)
    for number, amount in pairs(counts) do
      counts[number] = 0
      if amount > 0 and not add(parts[number], amount) then
        tell_lost()
      end
    end
  end
end

---Puts the duration of this nginx request, so far, into the histogram of requests.
---@param handler string
function M.observe_request(handler)
  M.observe("campaign_request_seconds", "handler", handler, core.system.now() - ngx.req.start_time())
end

local function tell_histogram(lines, series, values)
  local name, label = series:match("^([%w_]+){(.*)}$") -- linear: one end is fixed
  local count = 0
  for i = 1, #ENDS + 1 do
    count = count + (values[i] or 0)
    lines[#lines + 1] = ("%s_bucket{%s,le=\"%s\"} %.14g"):format(name, label, ENDS[i] and ("%g"):format(ENDS[i]) or "+Inf", count)
  end
  lines[#lines + 1] = ("%s_sum{%s} %.14g"):format(name, label, values[0] or 0)
  lines[#lines + 1] = ("%s_count{%s} %.14g"):format(name, label, count)
end

-- Adds a process's part of a gauge, if that process is there.
local function read_part(found, key, at)
  local series, process = key:sub(#PREFIX + 1, at - 1), key:sub(at + 1)
  local is_there = process == process_of(process:match("^%d+"))
  found[series] = (found[series] or 0) + (is_there and shared:get(key) or 0)
  if not is_there then
    shared:delete(key)
  end
end

-- Series by name: a number, or the counts of a histogram.
local function read_all()
  local found, names = {}, {}
  for _, key in ipairs(shared and shared:get_keys(0) or {}) do
    local at = key:find("@", 1, true)
    if at and key:sub(1, #PREFIX) == PREFIX then
      read_part(found, key, at)
    elseif key:sub(1, #PREFIX) == PREFIX then
      local series, bucket = key:match("^([^#]*)#?(%d*)$", #PREFIX + 1) -- linear: what ends the first is no part of it
      local value = shared:get(key) or 0
      if bucket ~= "" then
        found[series] = found[series] or {}
        found[series][tonumber(bucket)] = value
      elseif series then
        found[series] = value
      end
    end
  end
  for series in pairs(found) do
    names[#names + 1] = series
  end
  table.sort(names)
  return found, names
end

---All of it as text.
---@return string
function M.text()
  local found, names = read_all()
  local lines, last = {}, nil
  for _, series in ipairs(names) do
    local name, value = series:match("^[%w_]+"), found[series]
    if HELP[name] then
      if name ~= last then
        lines[#lines + 1] = "# HELP " .. name .. " " .. HELP[name][2]
        lines[#lines + 1] = "# TYPE " .. name .. " " .. HELP[name][1]
        last = name
      end
      if type(value) == "table" then
        tell_histogram(lines, series, value)
      else
        lines[#lines + 1] = ("%s %.14g"):format(series, value)
      end
    end
  end
  for _, gauge in ipairs(M.gauges()) do
    lines[#lines + 1] = "# HELP " .. gauge[1] .. " " .. gauge[2]
    lines[#lines + 1] = "# TYPE " .. gauge[1] .. " gauge"
    lines[#lines + 1] = ("%s %.14g"):format(gauge[1], gauge[3])
  end
  return table.concat(lines, "\n") .. "\n"
end

---What is looked up when it is asked for.
---@return table[] gauges name, help, value
function M.gauges()
  local gauges = {}
  if shared and shared.free_space then
    gauges[1] = { "campaign_dictionary_free_bytes", "Free pages of the dictionary of counters", shared:free_space() }
    gauges[2] = { "campaign_dictionary_bytes", "Size of the dictionary of counters", shared:capacity() }
  end
  gauges[#gauges + 1] = { "campaign_workers", "Worker processes of nginx", ngx.worker.count() }
  return gauges
end

---The whole location.
function M.handle()
  if request.refuse_method("GET", "HEAD") then
    return
  end
  ngx.header["Content-Type"] = "text/plain; version=0.0.4"
  ngx.print(M.text())
end

return M
