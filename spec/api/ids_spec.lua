-- SPDX-License-Identifier: MIT
-- 64-bit ids go out and come back digit by digit, as path, query, JSON and form values, through a sandbox whose ids begin where doubles
-- end to be exact.

local build = require "campaign.api.build"
local campaign = require "campaign"
local check = require "campaign.api.check"
local command = require "support.command"
local env_module = require "campaign.env"
local platforms = require "campaign.api.platform"
local sandbox = require "campaign.sandbox"

for _, first in ipairs{ "9007199254740993", "1790000000000000001" } do
  describe("ids from " .. first, function()
    local handle, folder, hypers

    setup(function()
      handle = assert(sandbox.start{ clock = "2025-11-10 10:00:00", clock_rate = 0, first_id = first })
      folder = command.folder()
      local env = env_module.default()
      function env.getenv(name) return name == "CAMPAIGN_STATE_DIR" and folder or nil end
      hypers = assert(campaign.connect("hypers", handle.accounts.hypers, { env = env }))
    end)

    teardown(function()
      hypers:close()
      handle:stop()
      command.remove(folder)
    end)

    it("come back as they went out in paths, queries and JSON", function()
      local group = assert(hypers:create_marketing_group{ name = "a" })
      assert.equal(first, group.id)
      local other = assert(hypers:create_marketing_group{ name = "b" })
      assert.equal(first:sub(1, -2) .. tostring(tonumber(first:sub(-1)) + 1), other.id) -- a double would make them one
      local listed = assert(hypers:all("list_marketing_groups", { ids = { other.id } }))
      assert.same({ 1, other.id }, { #listed, listed[1].id })
      local plan = assert(hypers:create_marketing_plan{ options = "DRAFT", data = { name = "p", groupId = other.id } })
      assert.equal(other.id, plan.groupId)
      assert.equal(plan.id, assert(hypers:get_marketing_plan{ id = plan.id }).id)
      local scene = assert(hypers:create_marketing_scene{ name = "s", statisticalMethod = "ONLY", prompt = "p", planId = plan.id })
      local scenes = assert(hypers:all("list_marketing_scenes", { planId = plan.id }))
      assert.same({ 1, scene.id }, { #scenes, scenes[1].id })
      assert.equal(0, #assert(hypers:all("list_marketing_scenes", { planId = other.id })))
    end)

    it("name the same file in paths, lists and links", function()
      local files = {}
      for number = 1, 3 do
        files[number] = assert(hypers:upload_file({ file = { content = "bytes " .. number, filename = "a.png" } }, { accept_public_file = true }))
      end
      for number, file in ipairs(files) do
        assert.equal("bytes " .. number, assert(hypers:download_file{ id = file.id }).body)
        assert(hypers:image_url(file.id):find(file.id, 1, true))
      end
      local sheet = require("campaign.sandbox.sheet").write{ { "userId", "nickname" }, { "u1", "n1" }, { "u2", "n2" } }
      local members = assert(hypers:upload_file({ file = { content = sheet, filename = "m.xlsx" } }, { accept_public_file = true }))
      local task = assert(hypers:create_notification_task{
        taskName = "t", taskType = "APPOINTMENT_REMINDER", scheduledStartTime = "2025-11-10 12:00:00", fileIds = { members.id },
        contents = { { contentType = "TEXT", contentValue = "hi" } },
      })
      assert.equal(task.id, assert(hypers:get_notification_task{ taskId = task.id }).id)
      assert.equal(2, #assert(hypers:all("list_notification_executions", { taskId = task.id })))
      local reply, err = hypers:get_notification_task{ taskId = task.id:sub(1, -2) .. "9" }
      assert.is_nil(reply)
      assert.equal("http", err.kind)
    end)

    it("are digits in forms of both kinds", function()
      for _, kind in ipairs{ "form", "multipart" } do
        local platform = assert(platforms.from_table({
          name = "invented", title = "t", doc = "d", source = "s.txt", zone = "+08:00", account = { { name = "base_url", doc = "d" } }, auth = {},
          operations = { { name = "send", method = "POST", path = "/{id}", auth = "none", body = kind, response = "json", effect = "create",
            source = ":1", doc = "d", fields = { { name = "id", where = "path", type = "int64", required = true },
              { name = "n", where = "form", type = "int64" },
              { name = "list", where = "form", type = "array", items = { type = "int64" }, join = "," },
              { name = "q", where = "query", type = "int64" } } } },
        }, "invented.lua"))
        local operation = platform.operations.send
        local values = assert(check.fields(platform, operation, { id = first, n = first, list = { first, "-" .. first }, q = "-" .. first }, {}))
        local request = assert(build.request(operation, values, { base_url = "https://x.example" }))
        assert.equal("https://x.example/" .. first .. "?q=-" .. first, request.url)
        if kind == "form" then
          assert.equal("n=" .. first .. "&list=" .. first .. "%2C-" .. first, request.body.text)
        else
          assert.same({ { name = "n", value = first }, { name = "list", value = first .. ",-" .. first } }, request.body.parts)
        end
      end
    end)
  end)
end
