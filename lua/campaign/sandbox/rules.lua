-- SPDX-License-Identifier: MIT
-- The rules of docs/contracts/rules.md that the sandbox enforces, and the alternative forms of the documents that it uses. Every rule is on
-- unless it is switched off by its number; every alternative form is off unless requested. The platforms call `on("R051")` where the rule
-- applies.

local sorted = require "campaign.sorted"

local M = {}

-- Where a document shows two forms, the sandbox answers the first; these names ask for the second.
local FORMS = {
  ["outbound-code-0"] = "R026: outbound success is code 0 instead of 200",
  ["outbound-field-length"] = "O-A16: a value longer than its field's length is refused",
  ["tuzhan-late"] = "R118: replies have status 0 and no counts yet",
  ["executions-completed"] = "R229: executions say COMPLETED instead of SUCCESS",
  ["executions-list"] = "H-A19: executions as the field list prints them",
  ["refresh-ends-access"] = "R149: a refresh ends the old access token at once",
  ["plan-new-id"] = "R318: a plan gets a new id at each update",
  ["oauth-form"] = "H-A5: the token endpoint takes form encoding too",
}

local methods = {}
local mt = { __index = methods, __name = "sandbox.rules" }

---@param without? string[] rule numbers
---@param forms? string[] names of second forms
---@return table? rules
---@return string? why
function M.new(without, forms)
  local self = setmetatable({ off = {}, forms = {} }, mt)
  local ok, why = self:change{ without = without or {}, forms = forms or {} }
  if not ok then
    return nil, why
  end
  return self
end

---True while the rule holds.
function methods:on(number)
  return not self.off[number]
end

---True when the second form is asked for.
function methods:form(name)
  if not FORMS[name] then
    error("unknown form: " .. tostring(name), 2)
  end
  return self.forms[name] == true
end

---Replaces the list of rules switched off, the list of second forms, or both.
---@param change { without?: string[], forms?: string[] }
---@return true? ok
---@return string? why
function methods:change(change)
  local off, forms = self.off, self.forms
  if change.without ~= nil then
    off = {}
    for _, number in ipairs(change.without) do
      local digits = tostring(number):match("^R(%d%d%d)$")
      if not digits or tonumber(digits) < 1 or tonumber(digits) > 402 then
        return nil, "without: expected rule numbers R001 to R402, got " .. tostring(number)
      end
      off[number] = true
    end
  end
  if change.forms ~= nil then
    forms = {}
    for _, name in ipairs(change.forms) do
      if not FORMS[name] then
        return nil, "forms: unknown form " .. tostring(name)
      end
      forms[name] = true
    end
  end
  self.off, self.forms = off, forms
  return true
end

---The rules switched off and the second forms asked for, sorted.
function methods:lists()
  return sorted.keys(self.off), sorted.keys(self.forms)
end

M.FORMS = FORMS

return M
