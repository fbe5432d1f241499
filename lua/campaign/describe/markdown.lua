-- SPDX-License-Identifier: MIT
-- A platform as a reference in Markdown, for people: account, operations with their fields, limits, replies, refusals, closed hours,
-- rows, pages and waiters, and examples that the client's own check accepts. The files under docs/platforms are what this writes
-- (`make docs`).

local facts = require "campaign.describe.facts"
local page_module = require "campaign.describe.page"
local rules = require "campaign.api.rules"
local sample = require "campaign.describe.sample"
local shell_quote = require "campaign.shell_quote"
local sorted = require "campaign.sorted"

local M = {}

local function code(text)
  return "`" .. tostring(text):gsub("`", "'") .. "`"
end

local function codes(values)
  local texts = {}
  for index, value in ipairs(values) do
    texts[index] = code(value)
  end
  return table.concat(texts, ", ")
end

local function paths_text(paths)
  return type(paths) == "table" and codes(paths) or code(paths)
end

local function account_table(page, platform)
  local rows = {}
  for index, key in ipairs(platform.account) do
    local marks = {}
    for _, mark in ipairs{ "required", "secret" } do
      marks[#marks + 1] = key[mark] and mark or nil
    end
    rows[index] = { code(key.name), key.type or "string", table.concat(marks, ", "), key.fills and code(key.fills) or "", key.doc }
  end
  page:add("\n## Account")
  page:add("\nGiven to `campaign.connect`, by the environment as ", code("CAMPAIGN_" .. platform.name:upper() .. "_<KEY>"),
    ", or in the accounts file. What \"fills\" names is the field that the value completes when a call does not give it.")
  page:table({ "Key", "Type", "", "Fills", "Meaning" }, rows)
  for _, name in ipairs(sorted.keys(platform.auth)) do
    local tokens = facts.tokens(platform.auth[name])
    if tokens then
      page:add("\nThe client gets the token of ", code(name), " by itself: it is ", tokens, ".")
    end
  end
end

local function operations_table(page, platform)
  local rows = {}
  for index, operation in ipairs(platform.operations) do
    rows[index] = { ("[%s](#%s)"):format(operation.name, operation.name), code(operation.method .. " " .. operation.path),
      operation.effect, operation.doc }
  end
  page:add("\n## Operations")
  page:table({ "Operation", "Request", "Effect", "Purpose" }, rows)
end

local function field_rows(description, filled)
  local rows = {}
  for index, entry in ipairs(facts.flatten(description, filled)) do
    local parts = {}
    parts[1] = entry.doc
    for _, rule in ipairs(entry.rules) do
      parts[#parts + 1] = rule
    end
    if entry.account then
      parts[#parts + 1] = "filled from the account's " .. code(entry.account)
    end
    rows[index] = { code(entry.path), entry.type, entry.where, entry.required and "yes" or "", table.concat(parts, "; "), entry.source }
  end
  return rows
end

local function facts_list(page, platform, operation)
  page:add("")
  page:add("- Request: ", code(operation.method .. " " .. operation.path), operation.body ~= "none" and ", " .. operation.body or "",
    operation.url and ", at the account's " .. code(operation.url) or "")
  page:add("- Proves who it is: ", operation.scheme and code(facts.auth(operation)) or "not at all, it is public")
  page:add("- Effect: ", operation.effect, ", ", facts.EFFECTS[operation.effect])
  local window = operation.closed
  if window then
    page:add("- Closed: ", window.from, " to ", window.to, " (UTC", platform.zone, "), ", window.doc or "")
  end
  if operation.destructive then
    page:add("- Destroys: with ", code(operation.destructive.field), " = ", facts.values_text(operation.destructive.is, " or "),
      " it replaces what is there")
  end
  if operation.public then
    page:add("- Public: what it uploads can be read by anyone who knows its id; calls say `accept_public_file = true`, "
      .. "the command `--accept-public-file`")
  end
  for _, name in ipairs(operation.rules) do
    page:add("- Checked over several fields: ", rules.SAYS[name], " (", code(name), ")")
  end
  page:add("- Source: ", operation.source)
end

-- With an HTTP status that is no success an answer's kind is `http` where the data names none.
local function refusals_table(page, operation)
  local rows = {}
  for index, refusal in ipairs(operation.refusals or {}) do
    rows[index] = { code(refusal.code), refusal.reason:gsub("_", " "), refusal.kind or "platform or http",
      refusal.applied == "maybe" and "perhaps" or "no", refusal.hint }
  end
  if #rows > 0 then
    page:add("\n**Refusals**")
    page:table({ "Code", "Reason", "Kind of error", "Something done?", "What to know" }, rows)
  end
end

-- Columns of rows without names, with what is known of them.
local function column_texts(columns)
  local texts = {}
  for index, column in ipairs(columns) do
    local about = type(column) == "table" and facts.rules_of(column) or {}
    if type(column) == "table" and not column.required then
      table.insert(about, 1, "may be missing")
    end
    texts[index] = code(type(column) == "table" and column.name or column) .. (#about > 0 and " (" .. table.concat(about, "; ") .. ")" or "")
  end
  return table.concat(texts, ", ")
end

local function rows_text(page, platform, operation)
  local rows = operation.rows
  if not rows then
    return
  end
  local most = rows.per_call or rows.per_file
  local what = rows.is_call and "makes a call of each row of a list" or "fills " .. code(rows.field or "") .. " from a list, "
    .. (most and most .. " rows in one " .. (rows.per_file and "file" or "call") or "all rows at once")
  page:add("\n**Rows.** `campaign import FILE --to ", shell_quote(platform.reference .. "." .. operation.name), "` ", what, ", ",
    rows.concurrency or 1, " in flight", rows.concurrency == 1 and " (in order)" or "", ".")
  if rows.all_or_nothing then
    page:add("A call that is refused for its content applied nothing: its rows are then sent in smaller calls, down to those to blame.")
  end
  if rows.file then
    page:add("The file is CSV in ", rows.file.encoding:upper(), rows.file.bom and " behind a byte-order mark" or "",
      rows.file.header and " with a header line" or "", ".")
  end
  if rows.columns_from then
    page:add("Its columns are those that ", code(rows.columns_from.operation), " names.")
  elseif rows.columns then
    page:add("Columns: ", column_texts(rows.columns), ".")
  end
  local names, aliases = sorted.keys(rows.aliases or {}), {}
  for index, name in ipairs(names) do
    aliases[index] = { code(name), table.concat(rows.aliases[name], ", ") }
  end
  if #aliases > 0 then
    page:add("\nColumns of a list are matched by their header:")
    page:table({ "Field", "Headers that mean it, besides its name" }, aliases)
  end
end

local function members_text(page, platform, operation)
  local file = operation.members_file
  if file then
    page:add("\n**Files of members.** `campaign members FILE --to ", shell_quote(platform.reference .. "." .. operation.name),
      " -o members.xlsx` writes one from a list: a sheet of texts with the columns ", codes(file.columns),
      ", then others of your own. ", code(file.upload), " takes it and gives the id for ", code(file.field), "; ",
      code(file.template), " is the platform's own empty one.")
  end
end

local function conditions_text(conditions)
  local texts = {}
  for index, condition in ipairs(conditions) do
    texts[index] = code(condition.path) .. " is " .. facts.values_text(condition.is, " or ")
  end
  return table.concat(texts, ", or ")
end

-- What can be waited for by asking this operation.
local function waiters_text(page, platform, operation)
  for _, name in ipairs(facts.waiters(platform, operation)) do
    local waiter = platform.waiters[name]
    local ends = {}
    ends[#ends + 1] = waiter.success and "well when " .. conditions_text(waiter.success)
    ends[#ends + 1] = waiter.changed and "well when one of " .. codes(waiter.changed) .. " differs from the first look"
    ends[#ends + 1] = waiter.failure and "badly when " .. conditions_text(waiter.failure)
    page:add("\n**Waiting.** `client:wait(\"", name, "\", { ... })`, or `campaign wait ",
      shell_quote(platform.reference .. "." .. name), "`, asks again ", waiter.doc, "; it ends ",
      table.concat(ends, ", "), ", or after ", waiter.timeout, " s unless another deadline is given.")
  end
end

local function states_text(page, platform, operation)
  local pages = operation.pages
  if pages then
    local how = "They come whole, in " .. paths_text(pages.list)
    local size = pages.size and ", " .. code(pages.size) .. " rows a page (" .. pages.default_size .. " when left out)" or ""
    local more = pages.more and "more while " .. conditions_text({ pages.more })
    if pages.page or pages.offset then
      how = (pages.page and code(pages.page) .. " counts from " or code(pages.offset) .. " counts rows from ") .. (pages.first or 0) .. size
        .. "; rows in " .. paths_text(pages.list) .. ", " .. (more or "how many there are in " .. paths_text(pages.total))
    elseif pages.cursor then
      how = code(pages.cursor) .. " is what " .. code(pages.next) .. " of the page before says" .. size .. "; rows in " .. paths_text(pages.list)
        .. ", " .. (more or "more while it is there")
    elseif pages.list == "." then
      how = "They come whole, as the reply itself"
    end
    page:add("\n**Rows of the reply.** ", how, ". `for row in client:each(\"", operation.name, "\", { ... }) do` reads them all.")
  end
  waiters_text(page, platform, operation)
  if operation.probe == "none" then
    page:add("\n**Doubt.** When an answer is lost, nothing on the platform can be asked whether the call was done.")
  elseif operation.probe then
    local probe = operation.probe
    local what = probe.kind == "total" and "how many rows there are (" .. code(probe.count) .. ")" or "which entries there are"
    if probe.sha256 then
      what = what .. ", compared by SHA-256 with " .. code(probe.sha256)
    end
    page:add("\n**Doubt.** Before each batch, and when its answer was lost, ", code(probe.operation), " is asked ", what, ": ", probe.doc,
      ". ", probe.settle and probe.settle .. " s after the attempt, no change means that nothing was applied."
      or "No change proves nothing.")
  end
end

local function wrap(words)
  local lines, current = {}, words[1]
  for index = 2, #words do
    if #current + #words[index] > 96 then
      lines[#lines + 1] = current .. " \\"
      current = "  " .. words[index]
    else
      current = current .. " " .. words[index]
    end
  end
  lines[#lines + 1] = current
  return table.concat(lines, "\n")
end

local function examples(page, platform, operation)
  local fields = sample.fields(platform, operation)
  local text = sample.lua_fields(operation, fields)
  local options = {}
  if operation.public then
    options[#options + 1] = "accept_public_file = true"
  end
  if operation.response == "binary" then
    options[#options + 1] = "save_to = \"file.bin\""
  end
  local call = #options > 0 and "(" .. text .. ", { " .. table.concat(options, ", ") .. " })" or text
  page:add("\n```lua")
  page:add("local client = assert(campaign.connect(\"", platform.reference, "\"))")
  page:add("local reply = assert(client:", operation.name, call, ")")
  page:add("```")
  page:add("\n```sh")
  page:add(wrap(sample.command(platform, operation, fields)))
  page:add("```")
end

local function one_operation(page, platform, operation)
  page:add("\n## ", operation.name)
  page:add("\n", operation.doc)
  facts_list(page, platform, operation)
  if #operation.fields > 0 then
    page:add("\n**Fields**")
    page:table({ "Field", "Type", "In", "Required", "Limits and meaning", "Source" },
      field_rows({ fields = operation.fields }, facts.filled_by_account(platform)))
  end
  if operation.response == "binary" then
    page:add("\n**Reply.** A file.")
  elseif operation.response == "empty" then
    page:add("\n**Reply.** Nothing that matters.")
  else
    page:add("\n**Reply**", operation.reply.type == "array" and " (a list)" or "")
    local rows = field_rows(operation.reply)
    for _, row in ipairs(rows) do
      row[4] = ""
    end
    page:table({ "Field", "Type", "", "", "Meaning", "Source" }, rows)
    if operation.present then
      page:add("\nA reply without ", codes(operation.present), " is not read as a good one.")
    end
  end
  refusals_table(page, operation)
  rows_text(page, platform, operation)
  members_text(page, platform, operation)
  states_text(page, platform, operation)
  page:add("\n**Example**")
  examples(page, platform, operation)
end

---The reference of a platform.
---@param platform campaign.platform
---@return string
function M.text(platform)
  local page = page_module.new()
  page:add("# ", platform.name, ": ", platform.title)
  page:add("\n<!-- Written by `campaign describe --format markdown` from the platform's data; changes belong there. -->")
  page:add("\n", platform.doc)
  page:add("\nTimes without a zone are UTC", platform.zone, ". Numbers under \"Source\" are lines of the vendor's document ",
    code(platform.source), ". Field names are the vendor's own. Examples are invented; in Lua they begin with ",
    "`local campaign = require \"campaign\"`.")
  account_table(page, platform)
  operations_table(page, platform)
  for _, operation in ipairs(platform.operations) do
    one_operation(page, platform, operation)
  end
  return page:text()
end

return M
