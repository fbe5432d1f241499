-- SPDX-License-Identifier: MIT
-- Injected faults. A fault is written `operation:kind@n` (the n-th call of that operation, from 1; also `@n-m` and `@n-`) or
-- `operation:kind%p` (p per cent of the calls, from a seeded generator); without an operation, or with `*`, it applies to every operation.
-- This file parses the grammar, counts calls and decides which fault applies to a call; the handler and the host carry it out.

local sorted = require "campaign.sorted"
local suggest = require "campaign.api.suggest"

local M = {}

-- When a kind takes effect: "head" before the body is read, "reply" instead of the platform's answer,
-- "after" once the platform has acted, "before" in addition to the normal course.
local KINDS = {
  ["close-before-read"] = "head",
  ["close-after-read"] = "reply",
  ["expire-token"] = "before",
  ["after-commit-close"] = "after",
  ["after-commit-reset"] = "after",
  ["lost-refresh-reply"] = "after",
  ["truncate-body"] = "after",
  ["wrong-length"] = "after",
  ["bad-json"] = "after",
  ["wrong-type"] = "after",
  ["duplicate-callback"] = "after",
  ["early-callback"] = "after",
  ["no-callback"] = "after",
}

local methods = {}
local mt = { __index = methods, __name = "sandbox.faults" }

local function parse_kind(kind)
  local when = KINDS[kind]
  if when then
    return { kind = kind, when = when }
  end
  local ms = kind:match("^delay=(%d+)$")
  if ms then
    return { kind = "delay", when = "before", seconds = tonumber(ms) / 1000 }
  end
  local seconds = kind:match("^late%-callback=(%d+)$")
  if seconds and #seconds < 10 then
    return { kind = "late-callback", when = "after", seconds = tonumber(seconds) }
  end
  local wait = kind:match("^429%-retry%-after=(%d+)$")
  if wait then
    return { kind = "status", when = "reply", status = 429, retry_after = wait }
  end
  local code = kind:match("^code=(%d%d%d)$")
  if code then
    return { kind = "code", when = "reply", status = tonumber(code) }
  end
  local late = kind:match("^after%-commit%-(%d%d%d)$")
  if late then
    return { kind = "status", when = "after", status = tonumber(late) }
  end
  local status = tonumber(kind:match("^([345]%d%d)$"))
  if status then
    return { kind = "status", when = "reply", status = status }
  end
  return nil
end

---Reads one fault.
---@param text string
---@param known table<string, boolean>? the operations that there are
---@return table? fault
---@return string? why
function M.parse(text, known)
  if type(text) ~= "string" then
    return nil, "fault: expected text such as upload_contacts_json:500@3"
  end
  local target, rest = text:match("^([%w_%.%*]+):(.+)$") -- linear: the colon is in no class before it
  if not target then
    target, rest = "*", text
  end
  local kind, first, open, last = rest:match("^([%w=-]-)@(%d+)(%-?)(%d*)$") -- linear: anchored, fixed @
  local percent
  if not kind then
    kind, percent = rest:match("^([%w=-]-)%%([%d%.]+)$") -- linear: anchored, fixed %
  end
  if not kind then
    return nil, "fault " .. text .. ": expected operation:kind@n or operation:kind%p"
  end
  local fault = parse_kind(kind)
  if not fault then
    return nil, "fault " .. text .. ": there is no kind `" .. kind .. "` (docs/sandbox.md lists them)"
  end
  if known and target ~= "*" and not known[target] then
    return nil, "fault " .. text .. ": there is no operation `" .. target .. "`" .. suggest.help(target, sorted.keys(known))
  end
  fault.text, fault.target, fault.met = text, target, 0
  if percent then
    fault.percent = tonumber(percent)
    if not fault.percent or fault.percent <= 0 or fault.percent > 100 then
      return nil, "fault " .. text .. ": the per cent figure must be over 0 and at most 100"
    end
  else
    fault.first = tonumber(first)
    fault.last = open == "" and fault.first or tonumber(last) or math.huge
    if fault.first < 1 or fault.last < fault.first or (open == "" and last ~= "") then
      return nil, "fault " .. text .. ": calls are counted from 1"
    end
  end
  return fault
end

---@param texts? string[]
---@param seed? integer
---@param known table<string, boolean>? the operations that there are
---@return table? faults
---@return string? why
function M.new(texts, seed, known)
  local self = setmetatable({ list = {}, calls = {}, random = (seed or 1) % 2147483647, known = known }, mt)
  if self.random == 0 then
    self.random = 1
  end
  for _, text in ipairs(texts or {}) do
    local ok, why = self:add(text)
    if not ok then
      return nil, why
    end
  end
  return self
end

---Orders one more fault. Its calls are counted from now on.
---@param text string
---@return true? ok
---@return string? why
function methods:add(text)
  local fault, why = M.parse(text, self.known)
  if not fault then
    return nil, why
  end
  fault.calls = 0
  self.list[#self.list + 1] = fault
  return true
end

-- The minimal standard generator: the same seed gives the same faults on every machine.
local function draw(self)
  self.random = self.random * 16807 % 2147483647
  return self.random / 2147483647 * 100
end

local function meets(self, fault)
  fault.calls = fault.calls + 1
  if fault.percent then
    return draw(self) < fault.percent
  end
  return fault.calls >= fault.first and fault.calls <= fault.last
end

---Counts one call and gives the faults that it meets, by the time when they take effect.
---@param platform string
---@param operation string
---@return table<string, table> faults keys "head", "before", "reply", "after"
function methods:call(platform, operation)
  self.calls[operation] = (self.calls[operation] or 0) + 1
  local met = {}
  local full = platform .. "." .. operation
  for _, fault in ipairs(self.list) do
    if fault.target == "*" or fault.target == operation or fault.target == full then
      if meets(self, fault) then
        fault.met = fault.met + 1
        if fault.kind == "delay" then
          met.delay = (met.delay or 0) + fault.seconds
        elseif not met[fault.when] then
          met[fault.when] = fault
        end
      end
    end
  end
  return met
end

---Forgets all faults and counts.
function methods:clear()
  self.list, self.calls = {}, {}
end

return M
