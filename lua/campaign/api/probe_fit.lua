-- SPDX-License-Identifier: MIT
-- Checks that the `probe` of an operation fits its platform; a part of the loader (api/platform). The keys are described in
-- docs/platform-format.md.

local M = {}

-- Longest time that a platform may take to finish with a call that it did not answer.
local LONGEST_SETTLE = 3600

---Checks the query by which the outcome of a call is found out when its answer was lost. Faults are reported to the loader.
---@param resolver table the loader: `operations`, `fault`
---@param operation table whose data it is
---@param probe table
---@param place string
function M.check(resolver, operation, probe, place)
  local asked = resolver.operations[probe.operation]
  if not asked then
    return -- api/platform_checks reports it
  elseif asked.effect ~= "safe" then
    resolver:fault(place, "operation `" .. asked.name .. "` is not safe: a probe only asks")
  end
  if not operation.rows then
    resolver:fault(place, "only operations that take rows are probed")
  end
  if not asked.pages and not probe.list then
    resolver:fault(place, "needs `list`: operation `" .. asked.name .. "` has no pages")
  end
  local needed = probe.kind == "total" and "count" or "id"
  if not probe[needed] then
    resolver:fault(place, "kind `" .. probe.kind .. "` needs `" .. needed .. "`")
  end
  local unfit = probe.kind == "total" and { "id", "sha256" } or { "count", "marks" }
  for _, key in ipairs(unfit) do
    if probe[key] then
      resolver:fault(place .. "." .. key, "does not go with kind `" .. probe.kind .. "`")
    end
  end
  if not next(probe.match) then
    resolver:fault(place .. ".match", "must tell which entry is meant")
  end
  for _, ours in pairs(probe.match) do
    if not operation.fields[ours] then
      resolver:fault(place .. ".match", "there is no field `" .. ours .. "`")
    end
  end
  for theirs, ours in pairs(probe.params or {}) do
    if not asked.fields[theirs] then
      resolver:fault(place .. ".params", "operation `" .. asked.name .. "` has no field `" .. theirs .. "`")
    elseif not operation.fields[ours] then
      resolver:fault(place .. ".params", "there is no field `" .. ours .. "`")
    end
  end
  if probe.settle and not (probe.settle > 0 and probe.settle <= LONGEST_SETTLE) then
    resolver:fault(place .. ".settle", "must be seconds from 1 to " .. LONGEST_SETTLE)
  end
end

return M
