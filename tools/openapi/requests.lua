-- SPDX-License-Identifier: MIT
-- Sends the literal cases of spec/cases (every operation) with the real client to prism, which serves the OpenAPI documents of the
-- folder and refuses what does not fit them; prism's answers are the documents' examples, which the client must read as good replies.
-- Then the same requests with a required field or the credentials missing: prism must refuse them, else the documents say too little.
--   lua5.4 tools/openapi/requests.lua FOLDER      (started by tools/openapi_check)

local build = require "campaign.api.build"
local campaign = require "campaign"
local check = require "campaign.api.check"
local core = require "campaign.core"
local platforms = require "campaign.api.platform"
local sample = require "campaign.describe.sample"

local folder = assert(arg[1], "which folder?")
local failures, good, refused = {}, 0, 0

local function fail(...)
  failures[#failures + 1] = table.concat({ ... }, " ")
end

local function serve(name)
  local log = folder .. "/prism-" .. name .. ".log"
  local process = assert(core.system.spawn{ folder .. "/node_modules/.bin/prism", "mock", "--errors", "-p", "0", folder .. "/" .. name
    .. ".json", pipe = true, stderr = log, hold_stdin = false, group = true })
  while true do
    local line, err = process:read_line(120)
    if not line then
      process:close()
      error("prism does not serve " .. name .. ": " .. tostring(err or "it ended; see " .. log))
    end
    local url = line:match("Prism is listening on (http://[%d.:]+)")
    if url then
      return process, url
    end
  end
end

-- What comes back with a receipt speaks of the bytes that examples upload. The type is named since prism ends on parts without one.
local function fields_of(operation, fields)
  if not operation.receipt then
    return fields
  end
  local copy = {}
  for key, value in pairs(fields) do
    copy[key] = value
  end
  copy[operation.receipt.part] = { content = sample.FILE_BYTES, filename = "example.bin",
    content_type = "application/octet-stream" }
  return copy
end

local function account_of(case, shared, url)
  local account = {}
  for key, value in pairs(case.account or shared or {}) do
    account[key] = value
  end
  account.base_url = url
  return account
end

local function send_good(reference, platform, case, account)
  local client = assert(campaign.connect(reference, account))
  local operation = platform.operations[case.operation]
  local options = { window = "ignore", accept_public_file = true, timeout = 60 }
  for key, value in pairs(case.options or {}) do
    options[key] = value
  end
  local reply, err = client:call(case.operation, fields_of(operation, case.fields), options)
  client:close()
  if reply then
    good = good + 1
  elseif err.sent ~= "yes" then
    error(operation.key .. ": prism does not answer: " .. tostring(err), 0)
  else
    fail(operation.key, "was refused:", tostring(err), tostring(err.body))
  end
end

-- The plain request of a call in which field `name` has another value, or none; nil for forms, whose parts only the client makes.
local function broken_request(platform, operation, case, account, name, value)
  if operation.body == "multipart" then
    return nil
  end
  local values = assert(check.fields(platform, operation, case.fields, account))
  if name then
    values[name] = value
  end
  local request = assert(build.request(operation, values, account, account.token))
  request.body = request.body and request.body.text
  return request
end

local function expect_refusal(transport, operation, request, what)
  local result = assert(transport:perform{ method = request.method, url = request.url, headers = request.headers, body = request.body,
    account = operation.key, limits = { total = 60 } })
  if result.status == 422 or result.status == 401 then
    refused = refused + 1
  else
    fail(operation.key, what, "was taken:", tostring(result.status or result.error))
  end
end

-- Values just outside what the data allows.
local function bad_values(field)
  local values = {}
  local is_open = field.where == "path" -- another path may be another operation
  if field.values and not field.values.open then
    values[#values + 1] = field.type == "string" and "NO_SUCH_VALUE" or 4711
  end
  if field.max_length then
    values[#values + 1] = ("x"):rep(field.max_length + 1)
  end
  if field.min and not is_open then
    values[#values + 1] = field.type == "int64" and tostring(field.min - 1) or field.min - 1
  end
  if field.max then
    values[#values + 1] = field.max + 1
  end
  if field.min_items and not field.join then
    values[#values + 1] = core.json.array{}
  end
  if field.type == "datetime" then
    values[#values + 1] = "2026-10-01T09:00:00Z"
  end
  if field.type == "date" then
    values[#values + 1] = "1 October"
  end
  return values
end

local function send_broken(transport, platform, case, account)
  local operation = platform.operations[case.operation]
  for _, field in ipairs(operation.fields) do
    if (field.required or field.constant ~= nil) and field.where ~= "path" and not field.only_if then
      local request = broken_request(platform, operation, case, account, field.name)
      if request then
        expect_refusal(transport, operation, request, "without `" .. field.name .. "`")
      end
    end
  end
  for _, field in ipairs(operation.fields) do
    for _, value in ipairs(bad_values(field)) do
      local request = broken_request(platform, operation, case, account, field.name, value)
      if request then
        expect_refusal(transport, operation, request, "with a wrong `" .. field.name .. "`")
      end
    end
  end
  local request = broken_request(platform, operation, case, account)
  if request and operation.scheme and operation.scheme.kind ~= "form" then
    local header = operation.scheme.kind == "header" and operation.scheme.header or "Authorization"
    for index = #request.headers, 1, -1 do
      if request.headers[index][1] == header then
        table.remove(request.headers, index)
      end
    end
    expect_refusal(transport, operation, request, "without credentials")
  end
end

local function run(reference, name, cases)
  local platform = assert(platforms.load(reference))
  local process, url = serve(name)
  local transport = require("campaign.transport.curl").new{}
  local well, message = pcall(function()
    local seen = {}
    for _, case in ipairs(cases) do
      local account = account_of(case, cases.account, url)
      send_good(reference, platform, case, account)
      send_broken(transport, platform, case, account)
      seen[case.operation] = true
    end
    for _, operation in ipairs(platform.operations) do
      if not seen[operation.name] then
        fail(operation.key, "has no case")
      end
    end
  end)
  transport:close()
  process:close()
  if not well then
    fail(name .. ":", tostring(message))
  end
end

-- A platform without case files: its own examples.
local function example_cases(reference)
  local platform = assert(platforms.load(reference))
  local cases = { account = sample.account(platform) }
  for index, operation in ipairs(platform.operations) do
    cases[index] = { operation = operation.name, fields = sample.fields(platform, operation) }
  end
  return cases
end

for _, name in ipairs(platforms.names()) do
  run(name, name, require("cases." .. name))
end
run("./examples/platforms/courier.lua", "courier", example_cases("./examples/platforms/courier.lua"))

print(("prism: %d requests of the client taken, %d broken ones refused, %d failures"):format(good, refused, #failures))
for _, text in ipairs(failures) do
  print("  " .. text)
end
os.exit(#failures == 0 and 0 or 1)
