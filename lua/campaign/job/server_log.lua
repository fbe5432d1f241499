-- SPDX-License-Identifier: MIT
-- What a server committed, row by row: a log with one JSON object per line (`row`, optionally `platform`, `operation`, `target`), or the
-- sandbox's log via its control API. Does not judge what should have been committed.

local error_object = require "campaign.error"
local json = require "campaign.json"

local M = {}

-- Entries requested at a time: well below the limit of a reply.
local PAGE = 5000

local LIMITS = { bytes = 67108864, keys = 1000000 }

local function refuse(message, hint)
  return error_object.new{ kind = "invalid", retry = false, sent = "no", message = message, hint = hint }
end

-- Iterates over the lines of a log. A last line without a line end was not committed.
local function each_line(path)
  local file, why = io.open(path, "rb")
  if not file then
    return nil, refuse("the server log cannot be read: " .. tostring(why))
  end
  local number = 0
  return function()
    local text = file and file:read("*L")
    if not text or text:sub(-1) ~= "\n" then
      if file then
        file:close()
        file = nil
      end
      return nil
    end
    number = number + 1
    local entry, err = json.decode(text, LIMITS)
    if type(entry) ~= "table" then
      error(refuse(("%s: line %d is no JSON object: %s"):format(path, number, tostring(err)),
        'one JSON object a line, its member "row" what was committed'), 0)
    end
    return entry
  end
end

local function ask(transport, url, after)
  local result, err = transport:perform{ method = "GET", url = ("%s/_sandbox/commits?after=%d&limit=%d"):format(url, after, PAGE),
    headers = {}, account = "sandbox", limits = { body = LIMITS.bytes } }
  if not result then
    return nil, err
  end
  if result.error then
    return nil, result.error
  end
  local page
  page, err = json.decode(result.body or "", LIMITS)
  if result.status ~= 200 or type(page) ~= "table" or type(page.commits) ~= "table" then
    return nil, refuse(url .. " is not a sandbox: it has no log of commits", err and tostring(err))
  end
  return page
end

local function each_commit(url, transport)
  local after, page, at = 0, nil, 0
  return function()
    at = at + 1
    if not page or at > #page.commits then
      if page and (#page.commits == 0 or after >= page.total) then
        return nil
      end
      local err
      page, err = ask(transport, url, after)
      if not page then
        error(err, 0)
      end
      at = 1
    end
    local entry = page.commits[at]
    if not entry then
      return nil
    end
    after = entry.n
    return entry
  end
end

---Iterates over the entries of a log, in order.
---@param from table server_log (a path) or sandbox (a URL, with `transport`), after (entries up to this number are left out)
---@return (fun(): table?)? next raises an error object if the log cannot be read further
---@return campaign.error? err
function M.each(from)
  local next_entry, err
  if from.server_log then
    next_entry, err = each_line(from.server_log)
  else
    next_entry = each_commit((from.sandbox:gsub("/+$", "")), from.transport)
  end
  if not next_entry then
    return nil, err
  end
  local number = 0
  return function()
    local entry
    repeat
      entry = next_entry()
      number = number + 1
    until not entry or (entry.n or number) > (from.after or 0)
    return entry
  end
end

return M
