-- SPDX-License-Identifier: MIT
-- Parses the command line, runs one command and returns its exit code. Each command is a module campaign.cli.NAME with a function `run(given,
-- place)` → exit code; `given` are its parsed options, `place` says where the modules were found. A bug (a raised error) is exit code 1.

local core = require "campaign.core"
local error_object = require "campaign.error"
local later = require "campaign.later"
local options = require "campaign.cli.options"
local output = require "campaign.cli.output"

local suggest = later.module "campaign.api.suggest"

local M = {}

-- Until the command line is parsed its command is unknown, so --json counts wherever it is.
local function wants_json(arguments)
  for index = 1, #arguments do
    if arguments[index] == "--" then
      return false
    end
    if arguments[index] == "--json" then
      return true
    end
  end
  return false
end

-- A copy of the words, in which a negative number behind an option is its value: argparse takes `-1` for an option unless both are one word.
local function words(arguments)
  local list, is_ended = {}, false
  for index = 1, #arguments do
    local word, before = arguments[index], list[#list]
    is_ended = is_ended or word == "--"
    if not is_ended and before and word:find("^%-%.?%d") and before:find("^%-%-%a[^=]*$") then
      list[#list] = before .. "=" .. word
    else
      list[#list + 1] = word
    end
  end
  return list
end

-- Exit codes that output which could not be written does not replace: they say that there was no result to lose.
local WITHOUT_RESULT = { [output.EXIT.internal] = true, [output.EXIT.refused] = true, [output.EXIT.stopped] = true, [output.EXIT.interrupted] = true }

-- Flushes stdout; returns the exit code, or that of the error that the output could not be written.
local function finished(code, json)
  if not core.console.flush() and not WITHOUT_RESULT[code] then
    return output.fail(error_object.new{ kind = "ledger", message = "stdout cannot be written completely" }, { json = json })
  end
  return code
end

local function with_traceback(message)
  if type(message) == "table" then
    return message
  end
  return debug.traceback(tostring(message), 2)
end

-- Recognizes the messages of Lua and of our own modules.
local function is_out_of_memory(problem)
  local text = tostring(problem)
  return text:find("not enough memory", 1, true) ~= nil or text:find("out of memory", 1, true) ~= nil
end

-- Reads the words and runs the command that they name.
local function perform(list, json, place)
  if list[1] == "help" and list[2] and not list[2]:find("^%-") then
    local known, names = options.knows(list[2])
    if not known then -- argparse would end the process with 1
      return output.fail("unknown command '" .. list[2] .. "'" .. suggest.help(list[2], names) .. " (see: campaign help)",
        { json = json, code = output.EXIT.refused })
    end
  end
  local parser = options.parser(list[1])
  local exit = os.exit
  os.exit = function(code) exit(finished(code, json), true) end -- luacheck: ignore 122 (argparse ends the process once it has printed help)
  local ok, given = parser:pparse(list)
  os.exit = exit -- luacheck: ignore 122
  if not ok then
    local named = not given:find("^unknown command") and tostring(list[1] or ""):match("^%l+$")
    given = given:gsub("\nDid you mean (.*)%?$", " (did you mean %1?)") -- as our own messages say it
    return output.fail(given .. " (see: campaign help" .. (named and " " .. named or "") .. ")", { json = json, code = output.EXIT.refused })
  end
  if given.version then
    io.stdout:write("campaign ", core.version, "\n")
    return output.EXIT.ok
  end
  if not given.command then
    io.stdout:write(parser:get_help(), "\n")
    return output.EXIT.refused
  end
  return require("campaign.cli." .. given.command).run(given, place)
end

---Runs the command line `arguments`.
---@param arguments string[]
---@param place { lua_path: string, c_path: string, flavour: string } where the modules were found
---@return integer exit_code
function M.main(arguments, place)
  core.console.no_dumps()
  core.console.ignore("XFSZ")
  local list, json = words(arguments), wants_json(arguments)
  local ran, code = xpcall(function()
    return perform(list, json, place)
  end, with_traceback)
  if not ran then
    if tostring(code):find("interrupted!", 1, true) then -- what the interpreter makes of Ctrl-C
      return output.fail(error_object.new{ kind = "cancelled", message = "interrupted" }, { json = json })
    end
    if is_out_of_memory(code) then
      return output.fail("out of memory", { json = json, code = output.EXIT.stopped, is_internal = true })
    end
    return output.fail("internal error: " .. tostring(code), { json = json, code = output.EXIT.internal, is_internal = true })
  end
  return finished(code, json)
end

return M
