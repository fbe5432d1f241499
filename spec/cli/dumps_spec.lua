-- SPDX-License-Identifier: MIT
-- A command that crashes leaves no core dump: it would hold tokens and rows.

local command = require "spec.support.command"

-- Ends a program with a signal that dumps core, in a folder of its own, and returns what the shell says of its end.
local function crash(program)
  local folder = command.folder()
  local script = "ulimit -c unlimited; cd " .. folder .. "; " .. program .. " >out & pid=$!\n"
    .. "tries=0; until [ -s out ] || [ $tries -ge 300 ]; do sleep 0.1; tries=$((tries + 1)); done\n"
    .. "kill -SEGV $pid; wait $pid"
  local result = command.run({ "bash", "-c", script }) -- dash does not always say it
  command.remove(folder)
  return result.err
end

describe("a crash of the command", function()
  it("leaves no core dump", function()
    if not crash("sh -c 'echo up; exec sleep 60'"):find("core dumped", 1, true) then
      pending("no program here can leave a core dump (ulimit -c)")
      return
    end
    local said = crash(command.ROOT .. "/bin/campaign listen --platform longlong --path-secret-file secret --store store")
    assert.matches("Segmentation fault", said)
    assert.is_nil(said:find("core dumped", 1, true))
  end)
end)
