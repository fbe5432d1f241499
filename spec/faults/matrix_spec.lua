-- SPDX-License-Identifier: MIT
-- The fault matrix in short: every eleventh scenario, so that each fault meets each kind of request at some place of the import. All of
-- them: `make fault-matrix`. CAMPAIGN_MATRIX_EVERY chooses another step.

local cases = require "faults.cases"
local commit_server = require "support.commit_server"
local runner_module = require "faults.runner"

describe("an import that meets faults", function()
  local every = tonumber(os.getenv("CAMPAIGN_MATRIX_EVERY")) or 11
  local server, runner
  local by_number, order = {}, {}
  for _, scenario in ipairs(cases.scenarios()) do
    if scenario.index % every == 0 then
      if not by_number[scenario.number] then
        by_number[scenario.number] = {}
        order[#order + 1] = scenario.number
      end
      table.insert(by_number[scenario.number], scenario)
    end
  end

  setup(function()
    server = commit_server.start()
    runner = runner_module.new(server)
  end)
  teardown(function()
    runner:close()
    server:stop()
  end)

  for _, number in ipairs(order) do
    it(number .. " loses nothing, repeats nothing in silence, claims no false success, and doubts no more than was in flight", function()
      local failed = {}
      for _, scenario in ipairs(by_number[number]) do
        local fault = runner:run(scenario)
        if fault then
          failed[#failed + 1] = scenario.name .. ": " .. fault
        end
      end
      assert.equal("", table.concat(failed, "\n"))
    end)
  end

  it("has scenarios for every place, connection and kind of request", function()
    local seen, count = {}, 0
    for _, scenario in ipairs(cases.scenarios()) do
      seen[scenario.place], seen[scenario.connection], seen[scenario.kind.name] = true, true, true
      count = count + 1
    end
    for _, name in ipairs{ "first", "middle", "last", "stays", "new", "reused", "json-async", "json-sync", "json-ordered", "multipart", "token",
      "poll" } do
      assert.is_true(seen[name], name)
    end
    assert.is_true(count >= 300, count .. " scenarios")
  end)
end)
