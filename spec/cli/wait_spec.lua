-- SPDX-License-Identifier: MIT
-- campaign wait against the sandbox: the reply, the exit codes, and going on after an interruption.

local command = require "support.command"
local json = require "campaign.json"
local sandbox = require "campaign.sandbox"
local system = require("campaign.core").system

describe("campaign wait", function()
  local handle, folder, env

  setup(function()
    handle = assert(sandbox.start{ clock = "2025-11-10 10:00:00", clock_rate = 0 })
    folder = command.folder()
    env = { CAMPAIGN_STATE_DIR = folder .. "/state" }
    for platform, account in pairs(handle.accounts) do
      for key, value in pairs(account) do
        env["CAMPAIGN_" .. platform:upper() .. "_" .. key:upper()] = value
      end
    end
  end)

  teardown(function()
    handle:stop()
    command.remove(folder)
  end)

  local function run(...)
    return command.campaign({ ... }, { env = env })
  end

  local function create(name)
    local made = run("call", "hypers.create_notification_task", "-p", "taskName=" .. name, "-p", "taskType=APPOINTMENT_REMINDER",
      "-p", "scheduledStartTime=2025-11-10 12:00:00", "-p", "members[0].userId=u-1", "-p", "contents[0].contentType=TEXT",
      "-p", "contents[0].contentValue=hi")
    assert.equal(0, made.code, made.err)
    return json.decode(made.out).id
  end

  it("prints the final reply, or says in which state it ended", function()
    local id = create("a")
    local result = run("wait", "hypers.notification_task_finished", "-p", "taskId=" .. id, "--deadline", "1s", "--state", folder .. "/wait")
    assert.equal(3, result.code)
    assert.matches("not final at the deadline", result.err, 1, true)
    assert.equal("file", system.stat(folder .. "/wait").type)
    assert(handle:control("clock", { at = "2025-11-10 12:30:00" }))
    result = run("wait", "hypers.notification_task_finished", "-p", "taskId=" .. id, "--state", folder .. "/wait")
    assert.equal(0, result.code, result.err)
    assert.equal("COMPLETED", json.decode(result.out).status)
    assert.is_nil(system.stat(folder .. "/wait"))
    assert(handle:control("clock", { at = "2025-11-10 10:00:00" }))
    id = create("b")
    assert.equal(0, run("call", "hypers.terminate_notification_task", "-p", "taskId=" .. id, "-p", "reason=r").code)
    result = run("wait", "hypers.notification_task_finished", "-p", "taskId=" .. id, "--json")
    assert.equal(5, result.code)
    assert.equal("TERMINATED", json.decode(result.err).error.code)
  end)

  it("keeps in its state what was there before a change", function()
    local group = json.decode(run("call", "outbound.get_contact_group_detail").out).data[1]
    local arguments = { "wait", "outbound.contact_group_updated", "-p", "dataSourceName=" .. group.dataSourceName, "--state", folder .. "/change",
      "--deadline", "1s" }
    assert.equal(3, command.campaign(arguments, { env = env }).code)
    local row = {}
    for index = 1, #group.customFields do
      row[index] = '"v"'
    end
    local sent = run("call", "outbound.upload_contacts_json", "-p", "dataSourceName=" .. group.dataSourceName,
      "-p", "dataList:=[[" .. table.concat(row, ",") .. "]]", "--window", "ignore")
    assert.equal(0, sent.code, sent.err)
    local result = command.campaign(arguments, { env = env })
    assert.equal(0, result.code, result.err)
    assert.equal(group.dataSourceName, json.decode(result.out).dataSourceName)
  end)

  it("refuses waiters, fields, deadlines and states that are none", function()
    for _, case in ipairs{
      { { "wait", "hypers.notification_task_finish", "-p", "taskId=1" }, "did you mean `notification_task_finished`" },
      { { "wait", "hypers" }, "is not of the form PLATFORM.WAITER" },
      { { "wait", "longlong.x" }, "it has none" },
      { { "wait", "hypers.notification_task_finished", "-p", "taskId=1", "--deadline", "soon" }, "is not a duration" },
      { { "wait", "hypers.notification_task_finished", "-p", "taskId=x" }, "taskId" },
      { { "wait", "hypers.notification_task_finished", "-p", "taskId=1", "--state", command.write(folder .. "/bad", "x") }, "--state|position" },
    } do
      local result = command.campaign(case[1], { env = env })
      assert(result.code == 2 or result.code == 8, result.code .. " " .. result.err)
      local found = false
      for text in case[2]:gmatch("[^|]+") do
        found = found or result.err:find(text, 1, true) ~= nil
      end
      assert(found, result.err)
      assert.equal("", result.out)
    end
  end)
end)
