-- SPDX-License-Identifier: MIT
-- The control API /_sandbox/..., outside the vendors' paths (R013): reset and settings, the clock, faults, rules, the commit log, batch
-- results and outbound's tasks. GET shows, POST changes; both use JSON. There are no credentials: the sandbox listens on loopback only.

local clock_module = require "campaign.sandbox.clock"
local faults = require "campaign.sandbox.faults"
local json = require "campaign.sandbox.json"
local reply = require "campaign.sandbox.reply"
local rules = require "campaign.sandbox.rules"
local sorted = require "campaign.sorted"
local state_of = require "campaign.sandbox.state"

local M = {}

local function refuse(status, message)
  return reply.json(status, json.ordered("code", status, "msg", message))
end

-- What a POST to a path may say. Paths that are not here check for themselves.
local MEMBERS = {
  clock = { at = "string", now = "string", advance = "number", rate = "number" },
  faults = { faults = "list", add = "list", seed = "number" },
  rules = { without = "list", forms = "list" },
  tasks = { tasks = "list" },
  reset = { clock = "object", settings = "object", rules = "object", faults = "object" },
}

local WORDS = { string = "a text", number = "a number", list = "a list", object = "an object" }

local function is_of(value, wanted)
  if wanted == "string" or wanted == "number" then
    return type(value) == wanted
  elseif type(value) ~= "table" then
    return false
  end
  return next(value) == nil or json.is_object(value) == (wanted == "object") -- many encoders write an empty list as {}
end

-- Why an object cannot be what is posted to a path: a member that nobody knows would have no effect, unnoticed.
local function misfit(path, body)
  local members = MEMBERS[path]
  for _, name in ipairs(members and sorted.keys(body) or {}) do
    if not members[name] then
      return ("%s: unknown member `%s`; known are %s"):format(path, name, table.concat(sorted.keys(members), ", "))
    elseif not is_of(body[name], members[name]) then
      return ("%s: expected %s"):format(name, WORDS[members[name]])
    end
    local why = path == "reset" and misfit(name, body[name])
    if why then
      return why
    end
  end
end

local function show_clock(app)
  return reply.json(200, json.ordered("now", app.clock:text(), "rate", app.clock.rate,
    "zone", "+08:00"))
end

local function clock(app, change)
  if change then
    local ok, why = app.clock:change{
      at = change.at or change.now, advance = change.advance, rate = change.rate,
    }
    if not ok then
      return refuse(400, why)
    end
  end
  return show_clock(app)
end

local function show_faults(app)
  local list = json.array()
  for _, fault in ipairs(app.faults.list) do
    list[#list + 1] = json.ordered("fault", fault.text, "calls", fault.calls, "met", fault.met)
  end
  return reply.json(200, json.ordered("faults", list, "calls", app.faults.calls))
end

-- POST {"faults": [...]} replaces the list, {"add": [...]} adds to it; {"seed": n} seeds the generator.
local function change_faults(app, change)
  local texts = change.faults or change.add or {}
  for _, text in ipairs(texts) do
    local fault, why = faults.parse(text, app.faults.known)
    if not fault then
      return refuse(400, why)
    end
  end
  if change.faults then
    app.faults:clear()
  end
  if change.seed then
    app.faults.random = math.max(1, change.seed % 2147483647)
  end
  for _, text in ipairs(texts) do
    app.faults:add(text)
  end
  return show_faults(app)
end

local function show_rules(app)
  local off, forms = app.rules:lists()
  return reply.json(200, json.ordered("without", json.array(off), "forms", json.array(forms)))
end

local function change_rules(app, change)
  local ok, why = app.rules:change{ without = change.without, forms = change.forms }
  if not ok then
    return refuse(400, why)
  end
  return show_rules(app)
end

local function number_of(query, name, default)
  local text = query[name] and query[name][1]
  if text == nil then
    return default
  end
  return text:find("^%d+$") and tonumber(text) or nil
end

local function commits(app, exchange)
  local after = number_of(exchange.query, "after", 0)
  local limit = number_of(exchange.query, "limit", 100)
  if not after or not limit or limit > 10000 then
    return refuse(400, "after and limit are numbers, limit at most 10000")
  end
  local lines = app.log:read(after, limit)
  local head = json.encode(json.ordered("total", app.log.n, "counts", app.log:totals()))
  return {
    status = 200, headers = { { "content-type", "application/json;charset=UTF-8" } },
    body = head:sub(1, -2) .. ',"commits":[' .. table.concat(lines, ",") .. "]}",
  }
end

local function results(app, exchange)
  local wanted = exchange.query.unique_id and exchange.query.unique_id[1]
  return reply.json(200, json.ordered("results", app.platforms.longlong:results(wanted)))
end

local function settings(app, change)
  if change then
    local ok, why = state_of.set(app.state, change)
    if not ok then
      return refuse(400, why)
    end
    app:changed()
  end
  return reply.json(200, app.state.settings)
end

-- POST {"tasks": [{"dataSourceName": ..., "state": "NEW", "start": "..."}]} replaces outbound's tasks.
local function tasks(app, change)
  if change then
    local ok, why = app.platforms.outbound:set_tasks(change.tasks)
    if not ok then
      return refuse(400, why)
    end
    app:changed()
  end
  return reply.json(200, json.ordered("tasks", app.platforms.outbound:tasks()))
end

-- Tries a change on something that nobody uses: whether it will be refused.
local TRIALS = {}

function TRIALS.clock(_, change)
  return clock_module.new{ now = os.time }:change{ at = change.at or change.now, advance = change.advance, rate = change.rate }
end

function TRIALS.rules(_, change)
  return rules.new(change.without, change.forms)
end

function TRIALS.faults(app, change)
  return faults.new(change.faults or change.add, nil, app.faults.known)
end

function TRIALS.settings(_, change)
  return state_of.set({ settings = {} }, change)
end

-- A reset that is refused leaves everything as it was.
local function reset(app, change)
  change = change or {}
  for _, part in ipairs(sorted.keys(TRIALS)) do
    local ok, why = true, nil
    if change[part] ~= nil then
      ok, why = TRIALS[part](app, change[part])
    end
    if not ok then
      return refuse(400, why)
    end
  end
  app:reset()
  for _, part in ipairs{ "clock", "rules", "faults", "settings" } do
    if change[part] ~= nil then
      local answer = M.paths[part](app, { body_value = change[part], method = "POST" })
      if answer.status ~= 200 then
        return answer
      end
    end
  end
  return reply.json(200, json.ordered("reset", true, "now", app.clock:text()))
end

local function shows_or_changes(show, change)
  return function(app, exchange)
    if exchange.method == "GET" then
      return show(app)
    end
    return change(app, exchange.body_value)
  end
end

M.paths = {
  clock = shows_or_changes(clock, clock),
  faults = shows_or_changes(show_faults, change_faults),
  rules = shows_or_changes(show_rules, change_rules),
  settings = shows_or_changes(settings, settings),
  tasks = shows_or_changes(tasks, tasks),
  commits = commits,
  limit = function(app)
    return reply.json(200, app.limit:counts())
  end,
  plans = function(app, exchange)
    local ok, why = app.platforms.hypers:set_plan(exchange.body_value or {})
    if not ok then
      return refuse(400, why)
    end
    return reply.json(200, json.ordered("changed", true))
  end,
  customers = function(app)
    return reply.json(200, json.ordered("customers", app.state.tuzhan.customers))
  end,
  results = results,
  reset = function(app, exchange)
    if exchange.method == "GET" then
      return refuse(405, "reset by POST")
    end
    return reset(app, exchange.body_value)
  end,
}

---Answers one control request.
---@param app table
---@param exchange table
function M.handle(app, exchange)
  local path = M.paths[exchange.control]
  if not path or not app:on("R013") then
    return refuse(404, "no such control path")
  end
  if exchange.method ~= "GET" and exchange.method ~= "POST" then
    return refuse(405, "GET or POST")
  end
  if exchange.method == "POST" then
    local text = exchange.body.text
    local value, why = json.decode(text == "" and "{}" or text)
    if not json.is_object(value) then
      return refuse(400, "body: " .. (why or "expected a JSON object"))
    end
    why = misfit(exchange.control, value)
    if why then
      return refuse(400, why)
    end
    exchange.body_value = value
  end
  return path(app, exchange)
end

return M
