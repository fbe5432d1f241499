-- SPDX-License-Identifier: MIT
-- Shows that every sandbox rule is held by a test: spec/sandbox/helper.lua runs the test of each rule twice, with the rule and with the
-- rule switched off, where it must fail. This runs those spec files and prints what became of each rule; 1 when a rule of
-- docs/contracts/rules.md has no such test, or one that does not notice.
--   lua5.4 tools/rules_mutation.lua [BUILD] [--lua 5.4|luajit] [--results FOLDER]

local lfs = require "lfs"

local SPECS = "spec/sandbox"

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- The rules that bind the sandbox.
local function sandbox_rules(path)
  local list = {}
  for line in io.lines(path) do
    local number, rest = line:match("^%- %*%*(R%d%d%d)%*%* (.+)$")
    local marks = rest and rest:match("%[([A-Z, ]+)%] %([^()]*%)$")
    if marks and marks:find("SANDBOX", 1, true) then
      list[#list + 1] = number
    end
  end
  return list
end

-- The spec files that declare tests of rules, and which rules each declares so that they are switched off.
local function declarations()
  local files, declared = {}, {}
  for name in lfs.dir(SPECS) do
    if name:find("_spec%.lua$") then
      local path, has_any = SPECS .. "/" .. name, false
      for line in io.lines(path) do
        -- Without the rule of the control paths nothing can be switched: its test starts a second sandbox.
        local number = line:match('^%s*rule%("(R%d%d%d)"') or line:match('sandbox%.start{ without = { "(R%d%d%d)" } }')
        if number then
          declared[number], has_any = (declared[number] or 0) + 1, true
        end
      end
      files[#files + 1] = has_any and path or nil
    end
  end
  table.sort(files)
  return files, declared
end

-- One run of the files; the states of the tests by rule.
local function run(files, build, lua)
  local words = {}
  for index, path in ipairs(files) do
    words[index] = quoted(path)
  end
  os.execute(("tools/spec --build %s --lua %s %s"):format(quoted(build), quoted(lua), table.concat(words, " ")))
end

local function states(files, folder)
  local found, whole = {}, true
  for _, path in ipairs(files) do
    local name = path:gsub("^spec/", ""):gsub("/", "."):gsub("_spec%.lua$", ".tsv")
    local file, ended = io.open(folder .. "/" .. name), false
    for line in file and file:lines() or function() end do
      ended = line:find("^end\t") ~= nil
      local state, test = line:match("^(%a+)\t([^\t]*)")
      local number = (test or ""):match("%f[%w](R%d%d%d) sandbox ")
      if number then
        found[number] = found[number] or { tests = 0, passed = 0 }
        found[number].tests = found[number].tests + 1
        found[number].passed = found[number].passed + (state == "success" and 1 or 0)
      end
    end
    if file then
      file:close()
    end
    if not ended then
      print(path .. " did not run to its end")
      whole = false
    end
  end
  return found, whole
end

local function main(build, lua, results)
  local rules = sandbox_rules("docs/contracts/rules.md")
  local files, declared = declarations()
  if not results then
    run(files, build, lua)
    results = build .. "/results/" .. (lua == "5.4" and "lua5.4" or lua)
  end
  local found, whole = states(files, results)
  local held = 0
  for _, number in ipairs(rules) do
    local state = found[number]
    if not state or not declared[number] then
      print(number .. " has no test that runs with the rule switched off")
    elseif state.passed < state.tests then
      print(("%s survives, or its test fails with the rule: %d of %d tests passed"):format(number, state.passed, state.tests))
    else
      print(("%s switched off: its test fails (%d %s)"):format(number, state.tests, state.tests == 1 and "test" or "tests"))
      held = held + 1
    end
  end
  print(("%d of %d sandbox rules are held by a test that fails without them"):format(held, #rules))
  return held == #rules and whole and #rules > 0 and 0 or 1
end

local build, lua, results = "build", "5.4", nil
local index = 1
while arg[index] do
  if arg[index] == "--lua" or arg[index] == "--results" then
    if arg[index] == "--lua" then lua = arg[index + 1] else results = arg[index + 1] end
    index = index + 1
  else
    build = arg[index]
  end
  index = index + 1
end
if lua ~= "5.4" and lua ~= "luajit" then
  io.stderr:write("rules_mutation: --lua is 5.4 or luajit\n")
  os.exit(2)
end
os.exit(main(build, lua, results))
