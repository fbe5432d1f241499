-- SPDX-License-Identifier: MIT
-- OpenAPI documents: what stands in them. tools/openapi_check has them judged by tools of others.

local cjson = require "cjson"
local command = require "spec.support.command"
local openapi = require "campaign.describe.openapi"
local platforms = require "campaign.api.platform"

local function document(name)
  local platform = assert(platforms.load(name))
  return cjson.decode(openapi.text(platform)), platform
end

local function operation_of(doc, platform, name)
  local operation = platform.operations[name]
  return doc.paths[operation.path][operation.method:lower()]
end

describe("OpenAPI", function()
  for _, name in ipairs(platforms.names()) do
    it("of " .. name .. " has every operation under its method and path, and resolves its references", function()
      local doc, platform = document(name)
      assert.equal("3.1.0", doc.openapi)
      for _, operation in ipairs(platform.operations) do
        local found = operation_of(doc, platform, operation.name)
        assert(found, operation.key)
        local names = found["x-campaign-operations"] or { found.operationId }
        assert(table.concat(names, " "):find(operation.name, 1, true), operation.key)
        if operation.refusals and names[1] == operation.name then
          assert.equal(operation.refusals[1].reason, found["x-campaign-refusals"][1].reason)
        end
      end
      local function walk(value)
        if type(value) ~= "table" then
          return
        end
        local reference = value["$ref"]
        if reference then
          assert(doc.components.schemas[reference:match("^#/components/schemas/(.*)$")], reference)
        end
        for _, inner in pairs(value) do
          walk(inner)
        end
      end
      walk(doc)
    end)
  end

  it("says limits, enums, conditions and 64-bit ids of requests", function()
    local doc, platform = document("hypers")
    local create = operation_of(doc, platform, "create_notification_task").requestBody.content["application/json"].schema
    assert.equal(120, create.properties.taskName.maxLength)
    assert.same({ "APPOINTMENT_REMINDER", "CUSTOMER_RESOURCE_REMINDER" }, create.properties.taskType.enum)
    assert.same({ required = { "fileIds" }, properties = { fileIds = true } }, create.allOf[1].oneOf[1])
    assert.is_false(create.additionalProperties)
    local id = operation_of(doc, platform, "get_notification_task").parameters[1]
    assert.same({ type = "integer", format = "int64", minimum = 1, ["x-campaign-source"] = ":118" }, id.schema)
    assert.same({ "integer", "string", "null" }, doc.components.schemas.NotificationTask.properties.id.type)
    local ids = operation_of(doc, platform, "list_marketing_groups").parameters
    assert.is_false(ids[#ids].explode)
  end)

  it("joins two operations of one method and path", function()
    local doc = document("hypers")
    local token = doc.paths["/oauth/token"].post
    assert.same({ "oauth_obtain_token", "oauth_refresh_token" }, token["x-campaign-operations"])
    local choices = token.requestBody.content["application/json"].schema.oneOf
    assert.equal("password", choices[1].properties.grant_type.const)
    assert.equal("refresh_token", choices[2].properties.grant_type.const)
  end)

  it("says how each operation proves who it is", function()
    local doc, platform = document("outbound")
    local upload = operation_of(doc, platform, "upload_contacts_file")
    local form = upload.requestBody.content["multipart/form-data"]
    assert.is_true(form.schema.properties.token["x-campaign-credential"])
    assert.equal("gbk", form.encoding.dataSourceFile["x-campaign-filename-encoding"])
    assert.equal("text/csv", form.encoding.dataSourceFile.contentType)
    assert.same({ from = "00:00:00", to = "02:00:00", zone = "+08:00", doc = platform.windows.night.doc }, upload["x-campaign-window"])
    assert.same({ { ["header-token"] = {} } }, operation_of(doc, platform, "upload_dnc_json").security)
    local hypers, described = document("hypers")
    local any = operation_of(hypers, described, "upload_file").requestBody.content["multipart/form-data"]
    assert.equal("*/*", any.encoding.file.contentType)
    assert.equal("https://hypers.example/oauth/token", hypers.components.securitySchemes.bearer.flows.password.tokenUrl)
  end)

  it("says what is waited for by asking an operation", function()
    local doc, platform = document("hypers")
    local waiters = operation_of(doc, platform, "get_notification_task")["x-campaign-waiters"]
    assert.same({ "COMPLETED" }, waiters.notification_task_finished.success[1].is)
  end)

  it("names the refusals of each status", function()
    local doc, platform = document("outbound")
    local upload = operation_of(doc, platform, "upload_contacts_file")
    assert.matches("overwrite refused: a task", upload.responses["409"].description)
    assert.equal("integer", doc.components.schemas.Refusal.properties.code.type[1])
  end)
end)

describe("campaign openapi", function()
  it("prints the document, or writes it to the file of -o", function()
    local folder = command.folder()
    local printed = command.campaign{ "openapi", "tuzhan" }
    local written = command.campaign{ "openapi", "tuzhan", "-o", folder .. "/t.json" }
    assert.are.equal(0, printed.code, printed.err)
    assert.are.equal(0, written.code, written.err)
    assert.are.equal("", written.out)
    assert.are.equal(printed.out, command.read(folder .. "/t.json"))
    command.remove(folder)
  end)

  it("refuses unknown platforms and files that cannot be written", function()
    local result = command.campaign{ "openapi", "tuzan" }
    assert.are.equal(2, result.code)
    assert.matches("did you mean `tuzhan`", result.err)
    result = command.campaign{ "openapi", "tuzhan", "-o", "/dev/null/t.json" }
    assert.are.equal(8, result.code)
    assert.matches("cannot be written", result.err)
  end)
end)
