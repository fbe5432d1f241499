-- SPDX-License-Identifier: MIT
-- What the specs of imports share: lists with given rows, job folders that are removed again, the sandbox's commit log as the oracle, and
-- a plain reader for the row files.

local campaign = require "campaign"
local command = require "support.command"
local env_module = require "campaign.env"
local lists = require "support.lists"
local sandbox = require "campaign.sandbox"

local M = {}

local handle, count, root

---Starts the sandbox of this spec file at 09:00, its clock standing still.
function M.start(options)
  options = options or {}
  options.clock, options.clock_rate = options.clock or "2025-11-10 09:00:00", options.clock_rate or 0
  handle = assert(sandbox.start(options))
  M.handle, M.accounts = handle, handle.accounts
  root, count = command.folder(), 0
  return handle
end

function M.stop()
  handle:stop()
  command.remove(root)
  lists.clean()
end

M.folder, M.remove, M.list = command.folder, command.remove, lists.file

---Empties the sandbox and orders faults.
function M.reset(faults, seed)
  assert(handle:control("reset", {}))
  assert(handle:control("clock", { at = "2025-11-10 09:00:00", rate = 0 }))
  if faults then
    assert(handle:control("faults", { faults = require("campaign.sandbox.json").array(faults), seed = seed }))
  end
end

---All rows that the sandbox has taken over, in order.
function M.commits(operation)
  local found, after = {}, 0
  repeat
    local page = assert(handle:control("commits?limit=10000&after=" .. after))
    for _, entry in ipairs(page.commits) do
      after = entry.n
      if not operation or entry.operation == operation then
        found[#found + 1] = entry
      end
    end
  until after >= page.total or #page.commits == 0
  return found
end

---What two ways to import the same must agree in: the attempts of `each` (batches as in batches.jsonl), one line each, and the rows that the
---sandbox has taken over, both sorted. Numbers of the platform's own are told apart only by whether they are there.
function M.facts(operation, each)
  local batches, rows = {}, {}
  for batch in each do
    batches[#batches + 1] = ("%d.%d %s %s %s %s %s %s %s"):format(batch.batch, batch.attempt, batch.verdict, batch.cause, tostring(batch.sent),
      tostring(batch.status), tostring(batch.bytes_sent), tostring(batch.body_bytes), batch.receipt and "numbered" or "no number")
  end
  for i, entry in ipairs(M.commits(operation)) do
    rows[i] = entry.row and (entry.row.phone or entry.row.identity or "") or ""
  end
  table.sort(batches)
  table.sort(rows)
  return batches, rows
end

---An environment in which nobody waits: sleeping moves the clock.
function M.env(start)
  local env = env_module.default()
  local offset = 0
  local real = env.monotonic
  local now = start or 1762740000 -- 2025-11-10 10:00:00 in Shanghai
  local began = real()
  env.now = function()
    return now + real() - began + offset
  end
  env.monotonic = function()
    return real() + offset
  end
  env.sleep = function(seconds)
    offset = offset + seconds
  end
  env.slept = function()
    return offset
  end
  env.getenv = function(name)
    if name == "CAMPAIGN_STATE_DIR" then
      return root .. "/state" -- what an import leaves behind for the next one stays out of the home folder
    end
    return os.getenv(name)
  end
  return env
end

---Removes what imports left behind for later ones.
function M.remove_state()
  os.execute("rm -rf " .. command.quote(root .. "/state"))
end

---A path for a new job folder.
function M.job()
  count = count + 1
  return root .. "/job" .. count
end

local DEFAULTS = {
  ["longlong.import_customers_async"] = {},
  ["tuzhan.batch_add_group_relations"] = {
    params = { publicParams = { isMatching = true, matchingType = 1, optType = "add" } }, set = { identityType = "phone" },
    split = { groups = ";" },
  },
  ["outbound.upload_contacts_file"] = { params = { dataSourceName = "autumn-contacts" } },
  ["outbound.upload_contacts_json"] = { params = { dataSourceName = "autumn-contacts" } },
  ["outbound.upload_dnc_json"] = { params = { dataSourceName = "acme-dnc" } },
  ["outbound.upload_dnc_file"] = { params = { dataSourceName = "acme-dnc" } },
}

---Options of an import of the text to an operation of the sandbox.
function M.options(to, text, more)
  local options = {
    to = to, source = text and lists.file(text) or nil, job = M.job(), env = M.env(),
    account = handle.accounts[to:match("^%w+")],
  }
  for key, value in pairs(DEFAULTS[to] or {}) do
    options[key] = value
  end
  for key, value in pairs(more or {}) do
    options[key] = value
  end
  return options
end

---Runs an import.
function M.import(to, text, more)
  return campaign.import(M.options(to, text, more))
end

---A list of n people; `change(i)` may give the fields of one of them.
function M.people(n, change)
  local lines = { "uuid,姓名,手机号,公司,分组" }
  for i = 1, n do
    lines[#lines + 1] = change and change(i)
      or ("c-%05d,客户%d,138%08d,\"第%d公司, 有限\",老客户;华东"):format(i, i, i, i)
  end
  return table.concat(lines, "\n") .. "\n"
end

---Reads a row file: a list of maps by column name, in order; nil for no file.
function M.read(path)
  if not path then
    return {}
  end
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  local records = lists.parse(text, ",", nil)
  local header, rows = nil, {}
  for _, record in ipairs(records) do
    if not header then
      header = record.fields
    else
      local row = {}
      for i, name in ipairs(header) do
        row[name] = record.fields[i]
      end
      row.fields = record.fields
      rows[#rows + 1] = row
    end
  end
  return rows, header
end

---Every row of the file is in one state, and the row files hold as many lines as the counts say.
function M.assert_balanced(result)
  local sum = result.accepted + result.accepted_pending + result.rejected + result.duplicate + result.suppressed
    + result.unchanged + result.ambiguous + result.pending
  assert(sum == result.rows, "states add up to " .. sum .. " of " .. result.rows .. " rows")
  assert(#M.read(result.rejects_file) == result.rejected, "rejects.csv")
  assert(#M.read(result.duplicates_file) == result.duplicate, "duplicates.csv")
  assert(#M.read(result.suppressed_file) == result.suppressed, "suppressed.csv")
  assert(#M.read(result.unchanged_file) == result.unchanged, "unchanged.csv")
  assert(#M.read(result.ambiguous_file) == result.ambiguous, "ambiguous.csv")
  assert(#M.read(result.not_sent_file) == result.pending, "not_sent.csv")
end

---The real transport; `before(n)` is called when the n-th request of the import is handed over.
function M.watched(before)
  local real, calls = require("campaign.transport").new(), 0
  local transport = setmetatable({}, { __index = function(_, name)
    return function(_, ...)
      return real[name](real, ...)
    end
  end })
  function transport.submit(_, request)
    calls = calls + 1
    before(calls)
    return real:submit(request)
  end
  return transport
end

return M
