-- SPDX-License-Identifier: MIT
-- campaign sandbox: what it prints, how it ends, and what it refuses.

local command = require "spec.support.command"
local campaign = command.campaign

describe("campaign sandbox", function()
  local folder
  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  -- Runs the sandbox for as long as a shell script takes; gives what the script printed and how the sandbox ended.
  local function during(options, script)
    os.remove(folder .. "/ready")
    local line = command.ROOT .. "/bin/campaign sandbox --ready-file " .. folder .. "/ready " .. options .. " >" .. folder
      .. "/out 2>" .. folder .. "/err & pid=$!; n=0; until [ -s " .. folder .. "/ready ] || [ $n -gt 100 ]; do sleep 0.05; n=$((n+1)); done; "
      .. "set -a; . " .. folder .. "/ready; set +a; " .. script .. "; kill -TERM $pid; wait $pid; echo \"ended $?\""
    local result = command.run({ "sh", "-c", line }, { env = { XDG_STATE_HOME = folder .. "/state" } })
    result.printed = command.read(folder .. "/out")
    return result
  end

  it("prints lines that a shell can take, serves what they say, and ends well on a signal", function()
    local result = during("--clock '2025-11-10 10:00:00'",
      "cp " .. folder .. "/ready " .. folder .. "/copy; "
      .. command.ROOT .. "/bin/campaign call outbound.get_contact_group_detail >/dev/null && echo served")
    assert.are.equal("served\nended 0\n", result.out, result.err)
    assert.are.equal(command.read(folder .. "/copy"), result.printed)
    for line in result.printed:gmatch("[^\n]+") do
      assert.is_truthy(line:find("^CAMPAIGN_[A-Z_]+=%S+$"), line)
    end
    assert.is_truthy(result.printed:find("CAMPAIGN_SANDBOX_URL=http://127.0.0.1:", 1, true))
  end)

  it("keeps its credentials to their owner", function()
    local result = during("", "stat -c %a " .. folder .. "/ready")
    assert.are.equal("600\nended 0\n", result.out)
    assert.is_nil(io.open(folder .. "/ready"), "the next one's credentials are waited for there")
  end)

  it("has a clock that is set and runs as fast as wanted", function()
    local result = during("--clock '2031-05-06 07:00:00' --clock-rate 3600", "sleep 1; curl -s $CAMPAIGN_SANDBOX_URL/_sandbox/clock")
    local hour = tonumber(result.out:match('"2031%-05%-06 (%d%d):'))
    assert.is_true(hour ~= nil and hour >= 8 and hour <= 10, result.out)
  end)

  it("takes faults and rules that are switched off", function()
    local result = during("--fault 'get_contact_group_detail:500@1' --without R019",
      "for n in 1 2; do curl -s -o /dev/null -w '%{http_code} ' -H \"token: $CAMPAIGN_OUTBOUND_TOKEN\" "
      .. "$CAMPAIGN_OUTBOUND_BASE_URL/api/v1/config/openapi/contact/contactGroupDetail?abbreviate=acme; done")
    assert.is_truthy(result.out:find("^500 200 "), result.out)
  end)

  it("keeps its state in a folder over a restart", function()
    local state = "--state " .. folder .. "/kept"
    local send = command.ROOT .. "/bin/campaign call longlong.import_customers_async -p 'data[0].phone=13800000000' >/dev/null; "
    local count = "curl -s $CAMPAIGN_SANDBOX_URL/_sandbox/commits | grep -o '\"total\":[0-9]*'"
    assert.is_truthy(during(state, send .. count).out:find('"total":1', 1, true))
    assert.is_truthy(during(state, count).out:find('"total":1', 1, true))
  end)

  it("says which port is taken and which file cannot be written, and leaves nothing behind", function()
    local tries = "for options in \"--port ${CAMPAIGN_SANDBOX_URL##*:}\" '--state /proc/nowhere' '--ready-file /nowhere/ready'; do TMPDIR=" .. folder
      .. "/tmp " .. command.ROOT .. "/bin/campaign sandbox $options; echo $?; done; ls " .. folder .. "/tmp"
    local result = during("", "mkdir " .. folder .. "/tmp; " .. tries)
    assert.are.equal("2\n2\n2\nended 0\n", result.out)
    assert.matches("^sandbox: cannot listen on 127%.0%.0%.1:%d+: Address already in use; without %-%-port it takes a free one\n"
      .. "sandbox: /proc/nowhere: [^\n]+\nsandbox: /nowhere/ready: [^\n]+\n$", result.err)
  end)

  it("refuses what makes no sense with exit code 2 and one line", function()
    for _, argv in ipairs{ { "--port", "99999" }, { "--port", "http" }, { "--clock", "now" }, { "--clock-rate", "-1" },
      { "--clock-rate", "fast" }, { "--fault", "x" }, { "--without", "R999" } } do
      local words = { "sandbox" }
      for _, word in ipairs(argv) do
        words[#words + 1] = word
      end
      local result = campaign(words, { seconds = 5 })
      assert.are.equal(2, result.code, table.concat(argv, " ") .. result.err)
      assert.is_truthy(result.err:find("^[^\n]+\n$"), result.err)
    end
  end)

  it("says so when the port is taken", function()
    local result = during("", "port=${CAMPAIGN_SANDBOX_URL##*:}; timeout 5 " .. command.ROOT
      .. "/bin/campaign sandbox --port $port >/dev/null; echo \"second $?\"")
    assert.is_truthy(result.out:find("second [12]\n"), result.out)
  end)
end)
