-- SPDX-License-Identifier: MIT
-- Output handler for busted: prints failures and a total, and writes one line per test (state, name, seconds) to the file that
-- CAMPAIGN_RESULTS names, for `make rules` and tools/spec. The last line says `end` and the number of tests, so that a process
-- that died half-way cannot be taken for one that passed.

local function clean(text)
  return (tostring(text):gsub("[\t\r\n]", " "))
end

return function()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()
  local path = os.getenv("CAMPAIGN_RESULTS")
  local file = path and assert(io.open(path, "w"))
  local counts = { success = 0, failure = 0, error = 0, pending = 0 }

  local function record(state, name, seconds)
    counts[state] = counts[state] + 1
    if file then
      file:write(state, "\t", clean(name), "\t", string.format("%.3f", seconds or 0), "\n")
      file:flush()
    end
  end

  local function show(kind, entry)
    local message = entry.message
    if type(message) == "table" then
      message = require "pl.pretty".write(message)
    end
    local trace = entry.trace or {}
    local element = entry.element or {}
    local place = trace.short_src and trace.short_src .. ":" .. tostring(trace.currentline)
      or element.name or "?"
    io.write(kind, ": ", place, ": ", tostring(entry.name), "\n", tostring(message), "\n")
    if kind == "ERROR" and trace.traceback then
      io.write(trace.traceback, "\n")
    end
    io.write("\n")
    io.flush()
  end

  function handler.test_end(element, _, status)
    record(status, handler.getFullName(element), element.duration)
    if status == "failure" then
      show("FAILED", handler.failures[#handler.failures])
    elseif status == "error" then
      show("ERROR", handler.errors[#handler.errors])
    elseif status == "pending" then
      local entry = handler.pendings[#handler.pendings]
      io.write("skipped: ", entry.name, ": ", tostring(entry.message or "no reason given"), "\n")
    end
    return nil, true
  end

  function handler.other_error(element)
    if element.descriptor ~= "it" then
      record("error", element.name or element.descriptor)
      show("ERROR", handler.errors[#handler.errors])
    end
    return nil, true
  end

  function handler.suite_end()
    local total = counts.success + counts.failure + counts.error + counts.pending
    io.write(string.format("%d passed, %d failed, %d errors, %d skipped\n",
      counts.success, counts.failure, counts.error, counts.pending))
    if file then
      file:write("end\t", total, "\n")
      file:close()
    end
    return nil, true
  end

  busted.subscribe({ "test", "end" }, handler.test_end)
  busted.subscribe({ "error" }, handler.other_error)
  busted.subscribe({ "failure" }, handler.other_error)
  busted.subscribe({ "suite", "end" }, handler.suite_end)
  return handler
end
