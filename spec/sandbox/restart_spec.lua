-- SPDX-License-Identifier: MIT
-- A sandbox with --state comes back as it was: all platforms, through the client; and after a kill the log holds whatever was answered.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local env_module = require "campaign.env"
local sandbox = require "campaign.sandbox"

describe("sandbox after a restart", function()
  local folder, handle

  before_each(function() folder = command.folder() end)
  after_each(function()
    handle:stop()
    command.remove(folder)
  end)

  local function start()
    handle = assert(sandbox.start{ state = folder .. "/sandbox", clock = "2025-11-10 10:00:00", clock_rate = 0,
      settings = { ["longlong.result_delay"] = 3600 } })
  end

  local function connect(name)
    local env = env_module.default()
    env.getenv = function(key) return key == "CAMPAIGN_STATE_DIR" and folder .. "/tokens" or nil end
    return assert(campaign.connect(name, handle.accounts[name], { env = env }))
  end

  local AUDIENCE = { isMatching = true, matchingType = 1, optType = "add" }

  it("knows what each platform was told before", function()
    start()
    local outbound, tuzhan, hypers, longlong = connect("outbound"), connect("tuzhan"), connect("hypers"), connect("longlong")
    local source = handle.accounts.outbound.data_source or handle.seeds.outbound.data_source
    assert(outbound:upload_contacts_json({ dataSourceName = source, dataList = { { "u1", "n", "1", "c" }, { "u2", "n", "2", "c" } } },
      { window = "ignore" })) -- at any hour of ours
    assert(tuzhan:batch_add_group_relations{ publicParams = AUDIENCE,
      data = { { identityType = "phone", phone = "13000000001", groups = { "a", "b" } } } })
    local group = assert(hypers:create_marketing_group{ name = "autumn" })
    local plan = assert(hypers:create_marketing_plan{ options = "RELEASE", data = { name = "plan", groupId = group.id } })
    local file = assert(hypers:upload_file({ file = { content = "bytes \0\255", filename = "a.png" } }, { accept_public_file = true }))
    local task = assert(hypers:create_notification_task{ taskName = "t", taskType = "APPOINTMENT_REMINDER",
      scheduledStartTime = "2025-11-10 12:00:00", members = { { userId = "m1" }, { userId = "m2" } },
      contents = { { contentType = "TEXT", contentValue = "hi" } } })
    local batch = assert(longlong:import_customers_async{ data = { { phone = "1", extra = "j.1" }, { phone = "2" } } }).data.unique_id
    local commits = assert(handle:control("commits")).total
    for _, client in ipairs({ outbound, tuzhan, hypers, longlong }) do
      client:close()
    end
    handle:stop()

    start()
    outbound, tuzhan, hypers, longlong = connect("outbound"), connect("tuzhan"), connect("hypers"), connect("longlong")
    assert.equal(commits, assert(handle:control("commits")).total)
    local total
    for _, entry in ipairs(assert(outbound:get_contact_group_detail()).data) do
      total = entry.dataSourceName == source and entry.total or total
    end
    assert.equal(2, total)
    assert(tuzhan:batch_add_group_relations{ publicParams = AUDIENCE,
      data = { { identityType = "phone", phone = "13000000001", groups = { "c" } } } })
    local customers = assert(handle:control("customers")).customers
    assert.equal(1, #customers)
    assert.same({ "a", "b", "c" }, { customers[1].groups[1], customers[1].groups[2], customers[1].groups[3] })
    assert.equal("autumn", assert(hypers:get_marketing_group{ id = group.id }).name) -- with the token of before
    assert.equal("EXECUTION", assert(hypers:get_marketing_plan{ id = plan.id }).status)
    assert.equal("bytes \0\255", assert(hypers:download_file{ id = file.id }).body)
    assert.is_true(tonumber(assert(hypers:create_marketing_group{ name = "later" }).id) > tonumber(task.id))
    assert.equal("PENDING", assert(hypers:get_notification_task{ taskId = task.id }).status)
    assert.equal(0, #assert(handle:control("results")).results)
    assert(handle:control("clock", { at = "2025-11-10 13:00:00" }))
    assert.equal("COMPLETED", assert(hypers:get_notification_task{ taskId = task.id }).status)
    local result = assert(handle:control("results?unique_id=" .. batch)).results[1]
    assert.equal(2, result.success)
    assert.equal("j.1", result.rows[1].extra)
    assert(longlong:import_customers_async{ data = { { phone = "1" } } })
    assert(handle:control("clock", { advance = 3600 }))
    local again = assert(handle:control("results")).results
    assert.equal("updated", again[#again].rows[1].reason) -- its pool knows the phone
    for _, client in ipairs({ outbound, tuzhan, hypers, longlong }) do
      client:close()
    end
  end)

  it("has every row in its log that it answered for, though it was killed", function()
    start()
    local longlong = connect("longlong")
    local answered = {}
    for i = 1, 40 do
      local reply = longlong:import_customers_async{ data = { { phone = "1", extra = "kill." .. i } } }
      if reply then
        answered[#answered + 1] = reply.data.unique_id
      end
    end
    longlong:close()
    assert.equal(40, #answered)
    handle.process:signal("KILL")
    handle:stop()
    start()
    local known = {}
    local page = assert(handle:control("commits?limit=1000"))
    for _, entry in ipairs(page.commits) do
      known[entry.id] = true
    end
    for _, id in ipairs(answered) do
      assert.is_true(known[id])
    end
    assert.equal(40, page.total)
    longlong = connect("longlong")
    assert(longlong:import_customers_async{ data = { { phone = "2" } } })
    longlong:close()
    assert.equal(41, assert(handle:control("commits")).total)
    assert.is_true(core.live() > 0)
  end)
end)
