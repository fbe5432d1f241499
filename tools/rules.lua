-- SPDX-License-Identifier: MIT
-- Prints which rules of docs/contracts/rules.md are covered, on which side, by tests that ran and passed in the last test run.
-- Reads the results that tools/spec leaves in BUILD/results; a test covers a rule by its name: "R019 client ...", "R019 sandbox ...".
--   lua5.4 tools/rules.lua [BUILD] [--format text|tsv]

local lfs = require "lfs"

-- Sections that come into scope with an operation: until the platform has it, its rules bind nobody.
local NEEDS = {
  ["hypers: paging of the marketing lists"] = "list_marketing_groups",
  ["hypers: ids and routes"] = "get_marketing_plan",
  ["hypers: groups and scenes"] = "create_marketing_group",
  ["hypers: plans"] = "create_marketing_plan",
  ["hypers: tasks of a plan"] = "create_marketing_task",
  ["hypers: reports"] = "get_marketing_plan_report",
}
local FLAVOURS = { "lua5.4", "luajit" }

local function has_operation(platform, operation)
  local chunk = loadfile("lua/campaign/platform/" .. platform .. ".lua")
  local ok, data = pcall(chunk or error)
  for _, known in ipairs(ok and data.operations or {}) do
    if known.name == operation then
      return true
    end
  end
  return false
end

local function read_rules(path)
  local rules, section = {}, nil
  for line in io.lines(path) do
    section = line:match("^## (.+)$") or section
    local number, rest = line:match("^%- %*%*(R%d%d%d)%*%* (.+)$")
    if number then
      local marks = rest:match("%[([A-Z, ]+)%] %([^()]*%)$") or ""
      local needs = NEEDS[section]
      rules[#rules + 1] = {
        number = number, section = section, text = rest:gsub("%s*%[[A-Z, ]+%] %([^()]*%)$", ""),
        client = marks:find("CLIENT", 1, true) ~= nil,
        sandbox = marks:find("SANDBOX", 1, true) ~= nil,
        proposed = marks:find("PROPOSED", 1, true) ~= nil,
        in_scope = needs == nil or has_operation("hypers", needs),
      }
      rules[number] = rules[#rules]
      if not rules[#rules].client and not rules[#rules].sandbox then
        error(path .. ": " .. number .. " names neither side")
      end
    end
  end
  return rules
end

-- covered["R019 client"] = { ["lua5.4"] = "success" | "failure" | ..., ... }: the worst state of all its tests.
local WORSE = { success = 1, pending = 2, failure = 3, error = 4 }

local function read_results(build)
  local covered, files = {}, 0
  for _, flavour in ipairs(FLAVOURS) do
    local folder = build .. "/results/" .. flavour
    if lfs.attributes(folder, "mode") == "directory" then
      for name in lfs.dir(folder) do
        if name:find("%.tsv$") then
          files = files + 1
          for line in io.lines(folder .. "/" .. name) do
            local state, test = line:match("^(%a+)\t([^\t]*)")
            for number, side in (test or ""):gmatch("%f[%w](R%d%d%d) (%l+)") do
              local key = number .. " " .. side
              covered[key] = covered[key] or {}
              local before = covered[key][flavour]
              if not before or (WORSE[state] or 4) > (WORSE[before] or 4) then
                covered[key][flavour] = state
              end
            end
          end
        end
      end
    end
  end
  return covered, files
end

-- "yes", "no", or the state that spoils it.
local function state_of(covered, rule, side)
  if not rule[side] then
    return "-"
  end
  local states = covered[rule.number .. " " .. side]
  if not states then
    return "no"
  end
  for _, flavour in ipairs(FLAVOURS) do
    if states[flavour] ~= "success" then
      return (states[flavour] or "not run") .. " on " .. flavour
    end
  end
  return "yes"
end

local function main(build, format)
  local rules = read_rules("docs/contracts/rules.md")
  local covered, files = read_results(build)
  if files == 0 then
    io.stderr:write("rules: no results in " .. build .. "/results; run 'make test' first\n")
    return 1
  end
  local counts = {
    client = { bound = 0, yes = 0 }, sandbox = { bound = 0, yes = 0 },
  }
  local later, open = 0, {}
  if format == "tsv" then
    print("rule\tin_scope\tclient\tsandbox")
  end
  for _, rule in ipairs(rules) do
    if format == "tsv" then
      print(table.concat({ rule.number, tostring(rule.in_scope), state_of(covered, rule, "client"),
        state_of(covered, rule, "sandbox") }, "\t"))
    end
    if not rule.in_scope then
      later = later + 1
    end
    for _, side in ipairs { "client", "sandbox" } do
      local state = state_of(covered, rule, side)
      if rule.in_scope and state ~= "-" then
        counts[side].bound = counts[side].bound + 1
        if state == "yes" then
          counts[side].yes = counts[side].yes + 1
        else
          local reason = state == "no" and "" or " (" .. state .. ")"
          open[#open + 1] = string.format("  %s %-7s %s%s", rule.number, side, rule.text, reason)
        end
      end
    end
  end
  local misnamed = {}
  for key in pairs(covered) do
    local number, side = key:match("^(R%d%d%d) (%l+)$")
    local rule = rules[number]
    if not rule or not rule[side] then
      misnamed[#misnamed + 1] = key
    end
  end
  table.sort(misnamed)
  if format == "tsv" then
    return #misnamed == 0 and 0 or 1
  end
  if #open > 0 then
    print("Rules of the operations in scope without a passing test:")
    print(table.concat(open, "\n"))
    print("")
  end
  for _, key in ipairs(misnamed) do
    print("A test speaks of " .. key .. ", which docs/contracts/rules.md does not bind")
  end
  print(string.format("%d rules, %d of them for operations still to come.", #rules, later))
  for _, side in ipairs { "client", "sandbox" } do
    print(string.format("%-8s %3d of %3d rules in scope are covered by tests that passed on %s",
      side, counts[side].yes, counts[side].bound, table.concat(FLAVOURS, " and ")))
  end
  return #misnamed == 0 and 0 or 1
end

local build, format = "build", "text"
local index = 1
while arg[index] do
  if arg[index] == "--format" then
    format = arg[index + 1]
    index = index + 1
  else
    build = arg[index]
  end
  index = index + 1
end
os.exit(main(build, format))
