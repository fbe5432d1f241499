-- SPDX-License-Identifier: MIT
-- Counters of all workers in one dictionary of ngx.shared, and a location that shows them as Prometheus reads them. Counting never fails a
-- request: without a dictionary nothing is counted, and what a full one cannot take is counted as lost.

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
  campaign_metrics_lost_total = { "counter", "Counts that a full dictionary could not take" },
}

local shared

---Names the dictionary that counters live in.
---@param name string a lua_shared_dict
function M.use(name)
  shared = ngx.shared[name]
  if not shared then
    error(("nginx.conf declares no dictionary of that name: add `lua_shared_dict %s 1m;` to its http block"):format(tostring(name)), 2)
  end
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

---Counts.
---@param name string
---@param label string? with one value
---@param value any?
---@param amount number? default 1; negative for a gauge
function M.count(name, label, value, amount)
  if not HELP[name] then
    error("unknown metric " .. tostring(name), 2)
  end
  if not shared or amount == 0 then
    return
  end
  local key = PREFIX .. name
  if label then
    key = key .. "{" .. label .. "=\"" .. tostring(value):gsub("[^%w_ -]", "_") .. "\"}"
  end
  if not add(key, amount or 1) then
    add(PREFIX .. "campaign_metrics_lost_total", 1)
  end
end

---All counters as text.
---@return string
function M.text()
  local found = {}
  for _, key in ipairs(shared and shared:get_keys(0) or {}) do
    if key:sub(1, #PREFIX) == PREFIX then
      found[#found + 1] = key:sub(#PREFIX + 1)
    end
  end
  table.sort(found)
  local lines, last = {}, nil
  for _, series in ipairs(found) do
    local name = series:match("^[%w_]+")
    if HELP[name] then
      if name ~= last then
        lines[#lines + 1] = "# HELP " .. name .. " " .. HELP[name][2]
        lines[#lines + 1] = "# TYPE " .. name .. " " .. HELP[name][1]
        last = name
      end
      lines[#lines + 1] = ("%s %.14g"):format(series, shared:get(PREFIX .. series) or 0)
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
  ngx.header["Content-Type"] = "text/plain; version=0.0.4"
  ngx.print(M.text())
end

return M
