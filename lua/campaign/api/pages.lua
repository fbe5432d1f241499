-- SPDX-License-Identifier: MIT
-- Iterates over the rows of all pages by the platform's data (`pages`): by page number, row offset, or cursor. One page is in memory at a
-- time; an iteration can be continued in another process; a failure, or a platform that does not advance, ends it with an error. Retries
-- are up to the call.

local core = require "campaign.core"
local error_object = require "campaign.error"
local json = require "campaign.json"
local later = require "campaign.later"
local merged = require "campaign.merged"
local normalise = require "campaign.api.normalise"
local position = require "campaign.api.position"
local suggest = later.module "campaign.api.suggest"

local M = {}

local MAX_PAGES = 1000000

---@class campaign.pages
---@overload fun(): any, campaign.error?
local methods = {}
local mt = { __index = methods, __name = "campaign.pages" }

local function first_of(reply, paths)
  for _, path in ipairs(type(paths) == "table" and paths or { paths }) do
    local value = normalise.at(reply, path)
    if value ~= nil then
      return value
    end
  end
  return nil
end

local function problem(self, fields)
  fields.platform, fields.operation = self._operation.platform, self._operation.name
  fields.sent, fields.retry = fields.sent or "yes", false
  return error_object.new(fields)
end

local function fail(self, fields)
  self._failed = true
  return nil, problem(self, fields)
end

local function paged_operation(client, name)
  local operation = client.platform.operations[name]
  if not operation or not operation.pages then
    local paged = {}
    for _, other in ipairs(client.platform.operations) do
      paged[#paged + 1] = other.pages and other.name or nil
    end
    error("platform `" .. client.platform.name .. "` has no operation `" .. tostring(name) .. "` with pages" .. suggest.help(name, paged)
      .. "; those with pages: " .. (#paged > 0 and table.concat(paged, ", ") or "none"), 3)
  end
  return operation
end

-- Whether the same rows or the same cursor came before: the platform ignores the page number, or the pages form a cycle. The digest that is
-- compared is replaced at every power of two (Brent's algorithm), so that a cycle of any length is found with one digest in memory.
local function came_before(self, what)
  local mark = core.digest.sha256(what)
  if self._mark == mark then
    return true
  end
  self._compared = self._compared + 1
  if self._compared >= self._move_at then
    self._mark, self._move_at = mark, self._move_at * 2
  end
  return false
end

local function text_of(value)
  if type(value) ~= "number" then
    return tostring(value)
  end
  return value == math.floor(value) and ("%.0f"):format(value) or core.json.encode(value) -- tostring would lose digits
end

local function is_one_of(list, value)
  for _, expected in ipairs(list or {}) do
    if text_of(value) == text_of(expected) then
      return true
    end
  end
  return false
end

-- Whether the reply says that there are more pages.
local function says_more(condition, reply)
  local value = normalise.at(reply, condition.path)
  if value == nil then
    return condition.or_absent or false
  end
  return is_one_of(condition.is, value)
end

local NUMBERS = { integer = true, number = true }

-- The cursor of the page behind a reply, as its field takes it; nil at the end, false where it leads nowhere.
local function next_cursor(self, rules, reply)
  local value = normalise.at(reply, rules.next)
  local is_there = value ~= nil and value ~= "" and not is_one_of(rules.last, value)
  if rules.more and not says_more(rules.more, reply) or not rules.more and not is_there then
    return nil
  end
  local field = self._operation.fields[rules.cursor]
  if not is_there or type(value) == "table" or type(value) == "boolean" then
    return false
  end
  local cursor = NUMBERS[field.type] and tonumber(value) or not NUMBERS[field.type] and text_of(value)
  return cursor or false
end

-- Finds the next page, and whether there is one, from the last reply. A problem with that is reported after the reply's rows.
local function move_on(self, rules, reply, rows)
  if rules.cursor then
    local cursor = next_cursor(self, rules, reply)
    if cursor == false then
      self._problem = problem(self, {
        kind = "response", reason = "no_cursor", message = "there are more rows, but no cursor in `" .. rules.next .. "` leads to them",
      })
    elseif cursor and (self._asked[rules.cursor] == cursor or came_before(self, text_of(cursor))) then
      self._problem = problem(self, {
        kind = "response", reason = "repeated_page", message = "the cursor after page " .. self._fetched .. " was already used for an earlier page",
        hint = "the platform does not advance, or the list is circular",
      })
    else
      self._page, self._last = cursor, cursor == nil
    end
    return
  end
  local total = tonumber(first_of(reply, rules.total or {}))
  -- More rows than the total, and a full page: the total is wrong, and an empty page is the end.
  local is_full = #rows >= self._size
  if rules.page then
    self._page = self._page + 1
  elseif rules.offset then
    self._page = self._page + #rows
  end
  local is_end = total == self._seen or total ~= nil and total < self._seen and not is_full
  if rules.more then
    is_end = not says_more(rules.more, reply)
  end
  self._last = not (rules.page or rules.offset) or #rows == 0 or is_end
end

-- Fetches the next page that has rows to give; false at the end.
local function fetch(self)
  local rules = self._operation.pages
  self._rows, self._given = {}, 0
  if self._fetched >= MAX_PAGES then
    return fail(self, { kind = "response", reason = "endless_pages", message = "there is no end after " .. MAX_PAGES .. " pages" })
  end
  local by = rules.page or rules.offset or rules.cursor
  if by then
    self._asked[by] = self._page
  end
  if rules.size then
    self._asked[rules.size] = self._size
  end
  local reply, err = self._client:call(self._operation.name, self._asked, self._options)
  if not reply then
    self._failed = true
    return nil, err
  end
  local rows = first_of(reply, rules.list)
  if rows == nil then
    rows = {}
  elseif type(rows) ~= "table" or #rows == 0 and next(rows) ~= nil then -- {} is how some write an empty list
    return fail(self, {
      kind = "response", reason = "no_list", message = "the reply has something other than a list in the place of the rows",
      hint = "`list` in the platform's data names their path",
    })
  end
  if #rows > 0 and by and not rules.cursor and came_before(self, json.encode(rows) or "") then
    return fail(self, {
      kind = "response", reason = "repeated_page",
      message = (rules.page and "page " or "the page from ") .. self._page .. " has the same rows as an earlier page",
      hint = "the platform ignores " .. (rules.page and "the page number" or "the offset") .. ", or the list is circular",
    })
  end
  self._rows, self._fetched = rows, self._fetched + 1
  self._before, self._here = self._seen, self._page
  self._seen = self._seen + #rows
  move_on(self, rules, reply, rows)
  return true
end

---The next row; nil at the end; `false, err` once when a page could not be had.
---@return any row
---@return campaign.error? err
function methods:next()
  while self._given >= #self._rows do
    if self._ended or self._last or self._failed then
      self._ended = not self._failed
      return nil
    elseif self._problem then
      self._failed = true
      return false, self._problem
    end
    local resumed = self._skip
    local well, err = fetch(self)
    if not well then
      return false, err
    end
    self._given, self._skip = math.min(resumed, #self._rows), 0
  end
  self._given = self._given + 1
  return self._rows[self._given]
end

---The position of the iteration as a text: `client:each(name, fields, { token = text })` continues after the last row that was returned, also in
---another process or after a failure.
---@return string
function methods:token()
  local inside = self._given > 0
  local page, by_cursor = self._page, self._operation.pages.cursor
  if inside then
    page = self._here
  end
  return position.write("pages", self._operation.name, self._fields, {
    page = not by_cursor and page or nil, cursor = by_cursor and text_of(page or ""), size = self._size,
    seen = inside and self._before or self._seen, skip = inside and self._given or self._skip,
    ended = self._ended or self._last and self._given >= #self._rows or false,
  })
end

mt.__call = methods.next

---Walks over the rows of all pages: `for row, err in client:each("list_...", fields) do`. A failure is given once, as `false, err`, and
---ends the walk.
---@param client campaign.client
---@param name string operation
---@param fields table?
---@param options table? those of a call, and `token` of an earlier walk
---@return campaign.pages
function M.each(client, name, fields, options)
  local operation = paged_operation(client, name)
  local rules = operation.pages
  options = merged(options)
  local token = options.token
  options.token = nil
  local self = setmetatable({
    _client = client, _operation = operation, _options = options, _fields = merged(fields), _asked = merged(fields),
    _rows = {}, _given = 0, _seen = 0, _before = 0, _skip = 0, _fetched = 0, _compared = 0, _move_at = 1,
    _ended = false, _last = false, _failed = false,
  }, mt)
  self._size = rules.size and (self._asked[rules.size] or rules.default_size) or 0
  if rules.cursor then
    self._page = self._asked[rules.cursor]
  else
    self._page = self._asked[rules.page or rules.offset or {}] or rules.first or 0
    if type(self._page) == "number" and type(self._size) == "number" then
      self._seen = (self._page - (rules.first or 0)) * (rules.offset and 1 or self._size)
    end
  end
  if token ~= nil then
    local stood, err = position.read(token, "pages", name, self._fields,
      { [rules.cursor and "cursor" or "page"] = rules.cursor and "string" or "number", size = "number", seen = "number", skip = "number",
        ended = "boolean" })
    if not stood then
      self._problem = error_object.wrap(err, { platform = operation.platform, operation = name })
      return self
    end
    self._page, self._size, self._seen, self._skip, self._ended = stood.page, stood.size, stood.seen, stood.skip, stood.ended
    if rules.cursor then
      local is_number = NUMBERS[operation.fields[rules.cursor].type]
      self._page = stood.cursor ~= "" and (is_number and tonumber(stood.cursor) or stood.cursor) or nil
    end
  end
  return self
end

---The rows of all pages in one list.
---@param client campaign.client
---@param name string operation
---@param fields table?
---@param options table?
---@return table[]? rows
---@return campaign.error? err
function M.all(client, name, fields, options)
  paged_operation(client, name)
  local rows = {}
  for row, err in M.each(client, name, fields, options) do
    if not row then
      return nil, err
    end
    rows[#rows + 1] = row
  end
  return rows
end

return M
