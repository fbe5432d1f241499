-- SPDX-License-Identifier: MIT
-- `campaign describe PLATFORM` and `PLATFORM.OPERATION`: what a platform's data says, for people (or, with --json, programs). The
-- phrases come from describe/facts; whole documents from describe/markdown and describe/types.

local core = require "campaign.core"
local facts = require "campaign.describe.facts"
local output = require "campaign.cli.output"
local page_module = require "campaign.describe.page"
local platforms = require "campaign.api.platform"
local rules = require "campaign.api.rules"
local sample = require "campaign.describe.sample"
local shell_quote = require "campaign.shell_quote"
local target = require "campaign.cli.target"

local M = {}

-- Where the facts come from, for readers who do not have the document: our page quotes it.
local function vendor_document(source, platform)
  local quoted = platforms.is_shipped(platform) and ", quoted in docs/contracts/" .. platform .. ".md" or ""
  return source .. " (the vendor's document" .. quoted .. ")"
end

local function example_of(platform, operation)
  return table.concat(sample.command(platform, operation, sample.fields(platform, operation)), " ")
end

local function window_of(platform, operation)
  local window = operation.closed
  return window and { from = window.from, to = window.to, zone = platform.zone, doc = window.doc } or nil
end

local function describe_operation(platform, operation)
  return {
    operation = operation.key, title = platform.title, doc = operation.doc, method = operation.method, path = operation.path,
    auth = facts.auth(operation), request_body = operation.body, response = operation.response, effect = operation.effect,
    source = operation.source, public = operation.public or nil, rules = operation.rules,
    window = window_of(platform, operation),
    rows = operation.rows and { field = operation.rows.field, shape = operation.rows.is_call and "call" or operation.rows.shape,
      per_call = operation.rows.per_call,
      per_file = operation.rows.per_file, to = platform.reference .. "." .. operation.name } or nil,
    fields = facts.flatten({ fields = operation.fields }, facts.filled_by_account(platform)),
    reply = facts.flatten(operation.reply),
    example = example_of(platform, operation),
  }
end

local function print_fields(page, title, entries)
  page:add("\n", title)
  for _, entry in ipairs(entries) do
    local marks = { entry.type }
    if entry.where then
      marks[#marks + 1] = "in " .. entry.where
    end
    if entry.required then
      marks[#marks + 1] = "required"
    end
    if entry.account then
      marks[#marks + 1] = "filled from the account's " .. entry.account
    end
    page:add("  ", entry.path, "  (", table.concat(marks, ", "), ")")
    if entry.doc then
      page:add("      ", entry.doc)
    end
    for _, rule in ipairs(entry.rules) do
      page:add("      - ", rule)
    end
  end
end

local function operation_text(d)
  local page = page_module.new()
  page:add(d.operation, ": ", d.doc, "\n")
  local lines = {
    { "request", d.method .. " " .. d.path .. (d.request_body ~= "none" and " (" .. d.request_body .. ")" or "") },
    { "reply", d.response },
    { "auth", d.auth },
    { "effect", d.effect .. ": " .. (facts.EFFECTS[d.effect] or "") },
  }
  if d.window then
    lines[#lines + 1] = { "closed", d.window.from .. " to " .. d.window.to .. " (UTC" .. d.window.zone .. ")" }
  end
  if d.public then
    lines[#lines + 1] = { "public", "what it uploads can be read by anyone; needs --accept-public-file" }
  end
  if d.rows then
    local most = d.rows.per_call or d.rows.per_file
    lines[#lines + 1] = { "rows", "campaign import FILE --to " .. shell_quote(d.rows.to) .. (d.rows.field and " fills " .. d.rows.field
      .. (most and ", " .. most .. " rows at a time" or "") or " makes one call for each row") }
  end
  for index, name in ipairs(d.rules) do
    lines[#lines + 1] = { index == 1 and "rules" or "", name .. ": " .. rules.SAYS[name] }
  end
  lines[#lines + 1] = { "source", vendor_document(d.source, d.operation:match("^[^.]+")) }
  page:add(output.aligned(lines))
  if #d.fields > 0 then
    print_fields(page, "Fields", d.fields)
  end
  if #d.reply > 0 then
    print_fields(page, "Reply", d.reply)
  end
  page:add("\nExample\n  ", d.example)
  return page:text()
end

local function operation_json(description)
  for _, list in ipairs{ description.fields, description.reply } do
    for _, entry in ipairs(list) do
      entry.rules = core.json.array(entry.rules)
    end
  end
  description.fields = core.json.array(description.fields)
  description.reply = core.json.array(description.reply)
  description.rules = core.json.array(description.rules)
  return core.json.encode(description) .. "\n"
end

local function describe_platform(platform)
  local account, operations = {}, {}
  for index, key in ipairs(platform.account) do
    account[index] = { name = key.name, required = key.required or false, secret = key.secret or false, fills = key.fills,
      type = key.type or "string", doc = key.doc }
  end
  for index, operation in ipairs(platform.operations) do
    operations[index] = { operation = operation.key, doc = operation.doc, method = operation.method, path = operation.path,
      auth = facts.auth(operation), effect = operation.effect, window = window_of(platform, operation), rows = operation.rows ~= nil,
      pages = operation.pages ~= nil }
  end
  local waiters = {}
  for index, name in ipairs(facts.waiters(platform)) do
    local waiter = platform.waiters[name]
    waiters[index] = { waiter = platform.name .. "." .. name, operation = waiter.operation, doc = waiter.doc }
  end
  return { platform = platform.name, title = platform.title, doc = platform.doc, source = platform.source, zone = platform.zone,
    account = core.json.array(account), operations = core.json.array(operations), waiters = core.json.array(waiters) }
end

local function platform_text(d)
  local page = page_module.new()
  page:add(d.platform, ": ", d.title, "\n\n", d.doc, "\n")
  page:add(output.aligned{ { "times", "UTC" .. d.zone }, { "source", vendor_document(d.source, d.platform) } })
  page:add("\nAccount")
  local rows = {}
  for index, key in ipairs(d.account) do
    local marks = { key.type }
    for _, mark in ipairs{ "required", "secret" } do
      marks[#marks + 1] = key[mark] and mark or nil
    end
    rows[index] = { "  " .. key.name, "(" .. table.concat(marks, ", ") .. ")", key.doc }
  end
  page:add(output.aligned(rows))
  page:add("\nOperations")
  rows = {}
  for index, operation in ipairs(d.operations) do
    rows[index] = { "  " .. operation.operation, operation.effect, operation.doc }
  end
  page:add(output.aligned(rows))
  if #d.waiters > 0 then
    page:add("\nWaiters (campaign wait)")
    rows = {}
    for index, waiter in ipairs(d.waiters) do
      rows[index] = { "  " .. waiter.waiter, waiter.doc }
    end
    page:add(output.aligned(rows))
  end
  return page:text()
end

local function whole_platform(given)
  local platform, err = platforms.load(given.target)
  if not platform then
    return nil, err
  end
  if given.format ~= "text" then
    return require("campaign.describe." .. given.format).text(platform)
  end
  local description = describe_platform(platform)
  return given.json and core.json.encode(description) .. "\n" or platform_text(description)
end

local function one_operation(given)
  if given.format ~= "text" then
    return output.usage("--format " .. given.format .. " applies to whole platforms", "name the platform alone")
  end
  local platform, operation = target.find(given.target)
  if not platform then
    return nil, operation
  end
  local description = describe_operation(platform, operation)
  return given.json and operation_json(description) or operation_text(description)
end

function M.run(given)
  local text, err = (target.is_platform(given.target) and whole_platform or one_operation)(given)
  local ok
  if text then
    ok, err = output.write(text, given.output)
  end
  return ok and 0 or output.fail(err, given)
end

return M
